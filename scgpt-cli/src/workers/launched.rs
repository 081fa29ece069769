//! [`Launched`]: what a launcher says to the processes that it starts together.

use anyhow::{Error, anyhow};

/// Variables with which a process is told its number and how many there are, and by whom.
const LAUNCHERS: [(&str, &str, &str); 3] = [
    ("mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpirun", "PMI_RANK", "PMI_SIZE"),
    ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
];
/// The variable that says that processes which were started together have nothing to do with each other.
const APART: &str = "SCGPT_WORKERS";

/// One of several processes that were started together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Launched {
    by: &'static str,
    rank: usize,
    pub(super) size: usize,
}

impl Launched {
    /// This process, if it is one of several.
    pub(super) fn found() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if variable(APART).as_deref() == Some("apart") {
            return None;
        }
        let number = |name| variable(name)?.parse::<usize>().ok();
        let found = LAUNCHERS.into_iter().find_map(|(by, rank, size)| {
            let (rank, size) = (number(rank)?, number(size)?);
            Some(Self { by, rank, size })
        });
        found.filter(|launched| launched.size > 1)
    }

    pub(super) fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// The error if they cannot do something together, or need not, and the remedy.
    pub(super) fn refused(&self, why: &str, remedy: &str) -> Error {
        let Self { by, size, .. } = self;
        anyhow!(
            "{by} started {size} processes: {why}; {remedy}, or set {APART}=apart if they have nothing to do with each \
             other"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Launched> {
        Launched::of(|name| Some(variables.iter().find(|it| it.0 == name)?.1.to_owned()))
    }

    #[test]
    fn launchers_are_known_by_their_variables() {
        let mpirun = [("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "4")];
        assert_eq!(of(&mpirun), Some(Launched { by: "mpirun", rank: 2, size: 4 }));
        let srun = [("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "8")];
        assert!(of(&srun).is_some_and(|it| it.is_first() && it.size == 8));
        let hydra = [("PMI_RANK", "1"), ("PMI_SIZE", "2")];
        assert!(of(&[&srun[..], &hydra].concat()).is_some_and(|it| it.size == 2), "the inner one");
    }

    #[test]
    fn a_process_alone_is_no_worker() {
        for alone in [
            &[][..],
            &[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1")],
            // A job of four tasks, but no step of it.
            &[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")],
            &[("PMI_RANK", "0"), ("PMI_SIZE", "2"), (APART, "apart")],
        ] {
            assert_eq!(of(alone), None, "{alone:?}");
        }
    }
}
