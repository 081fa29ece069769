//! Starts workers, and ends one of them.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::run::{Ended, Place};

/// So many workers of the program.
pub(crate) fn mpirun(place: &Place, n: usize, args: &[&str]) -> Command {
    mpirun_of(place, n, Path::new(env!("CARGO_BIN_EXE_scgpt")), args)
}

/// So many processes of a program, more than there are cores if need be, with temporary files in a folder of their own.
pub(crate) fn mpirun_of(place: &Place, n: usize, program: &Path, args: &[&str]) -> Command {
    // Untouched by the caller's environment.
    let mut command = place.command(&[]);
    let tmp = place.path("tmp");
    fs::create_dir_all(&tmp).unwrap();
    let variables: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.is_some())).collect();
    let mut mpirun = Command::new("mpirun");
    mpirun.current_dir(place.path("")).stdin(Stdio::null());
    for (name, _) in variables.iter().filter(|it| !it.1) {
        mpirun.env_remove(name);
    }
    command.stdin(Stdio::null());
    mpirun
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_hwloc_base_binding_policy", "none")
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        .env("TMPDIR", tmp)
        .args(["-np", &n.to_string()])
        .arg(program)
        .args(args);
    mpirun
}

/// What was started, and what it prints.
pub(crate) struct Launched {
    child: Child,
    stderr: JoinHandle<String>,
}

pub(crate) fn launch(command: &mut Command) -> Launched {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let stderr = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    Launched { child, stderr }
}

impl Launched {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let stderr = self.stderr.join().unwrap();
        let (stdout, printed) = (String::new(), String::new());
        Ended { code, stdout, printed, envelope: serde_json::Value::Null, stderr }
    }
}

/// The process of a worker.
pub(crate) fn worker(launched: &Launched, rank: usize) -> u32 {
    let begin = Instant::now();
    let said = format!("OMPI_COMM_WORLD_RANK={rank}\0");
    loop {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut numbers =
            processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let is_it = |number: &u32| {
            let read = |name| fs::read(format!("/proc/{number}/{name}")).unwrap_or_default();
            let status = String::from_utf8_lossy(&read("status")).into_owned();
            let is_child = status.contains(&format!("PPid:\t{}\n", launched.id()));
            is_child && String::from_utf8_lossy(&read("environ")).contains(&said)
        };
        if let Some(number) = numbers.find(is_it) {
            return number;
        }
        assert!(begin.elapsed() < Duration::from_mins(1), "worker {rank} does not begin");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process that was started here.
pub(crate) fn kill(signal: &str, process: u32) {
    let sent = Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}
