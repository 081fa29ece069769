use std::{fs, time::Duration};

use scgpt_fixtures::{Asked, Fault, Server};

use super::*;
use crate::regular::Refusal;

const QUICK: Patience = Patience {
    connection: Duration::from_secs(2),
    answer: Duration::from_millis(400),
    retries: 2,
    pause: Duration::from_millis(5),
};

/// A folder with a file of ten thousand bytes, served.
fn served() -> (tempfile::TempDir, Server, RemoteFolder, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..10_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    fs::create_dir_all(folder.path().join("cells.zarr/a b")).unwrap();
    fs::write(folder.path().join("cells.zarr/a b/ü%.bin"), &bytes).unwrap();
    let server = Server::new(folder.path());
    let remote = RemoteFolder::with(&server.url("cells.zarr"), QUICK).unwrap();
    (folder, server, remote, bytes)
}

const FILE: &str = "a b/ü%.bin";
const MOST: u64 = 1 << 20;

fn said(error: &io::Error) -> String {
    format!("{error} ({})", Refusal::remedy(error).unwrap_or("no remedy"))
}

#[test]
fn files_and_parts_of_them_are_read() {
    let (_folder, server, remote, bytes) = served();
    assert_eq!(remote.get(FILE, None, MOST).unwrap().unwrap(), bytes);
    for (part, range) in [
        (GetRange::Bounded(10..20), 10..20),
        (GetRange::Suffix(7), 9_993..10_000),
        (GetRange::Offset(9_000), 9_000..10_000),
    ] {
        assert_eq!(remote.get(FILE, Some(part), MOST).unwrap().unwrap(), bytes[range]);
    }
    assert!(remote.get("none", None, MOST).unwrap().is_none());
    assert_eq!(remote.sizes(&[FILE.into(), "none".into()]).unwrap(), [Some(10_000), None]);
    assert_eq!(remote.folders("").unwrap(), None);
    let mut saved = Vec::new();
    remote.save(FILE, 0..10_000, &mut saved).unwrap();
    assert_eq!(saved, bytes);
    saved.truncate(4_000);
    remote.save(FILE, 4_000..10_000, &mut saved).unwrap();
    assert_eq!(saved, bytes);
    assert!(
        said(&remote.save(FILE, 0..10_001, &mut saved).unwrap_err())
            .contains("as it was announced")
    );
    assert!(said(&remote.save("none", 0..1, &mut saved).unwrap_err()).contains("404"));
    assert!(server.asked().iter().all(|asked| asked.path.starts_with("/cells.zarr/")));
}

#[test]
fn a_transfer_that_breaks_is_taken_up_again() {
    for has_versions in [true, false] {
        let (_folder, server, remote, bytes) = served();
        if !has_versions {
            server.forget_versions();
        }
        server.answer(|asked, before| {
            if before == 0 && asked.range.is_none() { Fault::Broken } else { Fault::None }
        });
        assert_eq!(remote.get(FILE, None, MOST).unwrap().unwrap(), bytes);
        // With a version only the rest is asked for.
        let ranges: Vec<_> = server.asked().into_iter().map(|asked| asked.range).collect();
        let rest = has_versions.then(|| "bytes=5000-9999".to_owned());
        assert_eq!(ranges, [None, rest]);

        server.answer(|_, _| Fault::Broken);
        let error = said(&remote.get(FILE, None, MOST).unwrap_err());
        assert!(error.contains("ü%.bin") && error.contains("try again"), "{error}");
        assert_eq!(server.asked().len(), 1 + QUICK.retries);
    }
}

#[test]
fn servers_that_fail_are_asked_again_and_refusals_are_not() {
    let (_folder, server, remote, bytes) = served();
    server.answer(|_, before| if before < 2 { Fault::Status(503) } else { Fault::None });
    assert_eq!(remote.get(FILE, None, MOST).unwrap().unwrap(), bytes);
    assert_eq!(server.asked().len(), 3);
    for (fault, asked, parts) in [
        (Fault::Status(503), 3, ["503", "try again"]),
        (Fault::Status(403), 1, ["403 Forbidden", "everyone may read"]),
        (Fault::Status(401), 1, ["401 Unauthorized", "everyone may read"]),
        (Fault::Late(700), 3, ["no answer within 0.4 s", "up to 3 times"]),
        (Fault::Longer, 1, ["not sent as it was announced", "10000 bytes"]),
    ] {
        server.answer(move |_, _| fault);
        let Err(error) = remote.get(FILE, None, MOST) else { panic!("{fault:?}") };
        let error = said(&error);
        assert!(parts.iter().all(|part| error.contains(part)), "{fault:?}: {error}");
        assert_eq!(server.asked().len(), asked, "{fault:?}");
    }
    server.answer(|_, _| Fault::Whole);
    let error = said(&remote.get(FILE, Some(GetRange::Bounded(0..9)), MOST).unwrap_err());
    assert!(error.contains("no parts of files"), "{error}");
    let mut saved = Vec::new();
    remote.save(FILE, 0..10_000, &mut saved).unwrap();
    assert_eq!(saved, bytes);
    drop(server);
    let error = said(&remote.get(FILE, None, MOST).unwrap_err());
    assert!(error.contains("try again"), "{error}");
}

#[test]
fn no_more_is_taken_than_asked_for() {
    let (_folder, server, remote, _) = served();
    let error = said(&remote.get(FILE, None, 9_999).unwrap_err());
    assert!(error.contains("at most 0 MB of it are read"), "{error}");
    assert!(remote.get("../../secret", None, MOST).is_err());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn requests_at_a_time_are_bounded() {
    let (_folder, server, remote, _) = served();
    server.answer(|_: &Asked, _| Fault::Late(20));
    let keys = vec![FILE.to_owned(); 40];
    let found = remote.get_each(&keys, MOST).unwrap();
    assert!(found.into_iter().all(|found| found.unwrap().is_some()));
    let most = server.most_at_once();
    assert!((2..=PARALLEL).contains(&most), "{most}");
}

#[test]
fn addresses_that_are_not_read_say_what_is() {
    for (url, part) in [
        ("gs://bucket/cells.zarr", "storage.googleapis.com"),
        ("abfss://a@b/cells.zarr", "password"),
        ("ftp://host/cells.zarr", "expected https://"),
        ("https://me:secret@host/cells.zarr", "leave it out"),
        ("https://host/cells.zarr?token=1", "signed link"),
        ("https:///cells.zarr", "without a host"),
    ] {
        let Err(error) = RemoteFolder::open(Path::new(url)) else { panic!("{url}") };
        assert!(said(&error).contains(part), "{}", said(&error));
    }
}
