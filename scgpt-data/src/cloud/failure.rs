//! What a server's refusals and failures mean, and what to do about them.

use std::{error::Error, io};

use object_store::{
    Error as StoreError,
    client::{HttpError, HttpErrorKind},
};

use super::patience::Patience;
use crate::regular::{refusal, refused};

/// What to do about files that are not what others say of them.
pub(super) const CHANGED: &str = "the files there may be in the middle of being replaced, or damaged; copy them again from their source";

const BROKEN: &str = "check the address and the connection, and try again; `curl -I` with the address says what the server answers";
const TLS: &str = "the certificate of the server is not trusted: check the clock, or name the certificates of your network by SSL_CERT_FILE";
pub(super) const NO_PARTS: &str = "the server sends no parts of files (HTTP ranges), which sharded arrays need: use another server, or copy the folder first";
const KEYS: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (profiles are not read: `aws configure export-credentials` tells both), or leave them unset for a public bucket";
const PUBLIC: &str = "only what everyone may read is read over https://; copy it first, or use s3:// with credentials";
const TOKEN: &str = "check the name; if the model is not public, accept its conditions on its page, and set HF_TOKEN to a token that may read it";
const REGION: &str = "name the region of the bucket by AWS_REGION";

/// Longest text of a server that is shown.
const SHOWN: usize = 300;

/// How somebody gets the right to read what a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// By keys that sign requests.
    S3,
    /// Everybody has it, or nobody.
    Public,
    /// By a token, where a model is not public.
    Hub,
}

/// How failures of a store are told.
pub(super) struct Failures {
    pub(super) rights: Rights,
    pub(super) patience: Patience,
}

impl Failures {
    /// The error for a file that is not there.
    pub(super) fn missing(url: &str) -> io::Error {
        refused(io::ErrorKind::NotFound, format!("`{url}` is not there (404)"), CHANGED)
    }

    /// The error for a transfer of another length than `length`, which was announced.
    pub(super) fn length(url: &str, length: u64) -> io::Error {
        refusal(format!("`{url}` was not sent as it was announced, {length} bytes"), BROKEN)
    }

    /// The error for what a store says of a file.
    pub(super) fn of(&self, url: &str, error: &StoreError) -> io::Error {
        let rights = match self.rights {
            Rights::S3 => KEYS,
            Rights::Public => PUBLIC,
            Rights::Hub => TOKEN,
        };
        let denied = |status| {
            let problem = format!("the server refuses `{url}` ({status})");
            refused(io::ErrorKind::PermissionDenied, problem, rights)
        };
        match error {
            StoreError::NotFound { .. } => return Self::missing(url),
            StoreError::PermissionDenied { .. } => return denied("403 Forbidden"),
            StoreError::Unauthenticated { .. } => return denied("401 Unauthorized"),
            _ => {}
        }
        let causes = causes(error);
        if causes.iter().any(|cause| is_timeout(*cause)) {
            let (seconds, times) = (self.patience.answer.as_secs_f32(), self.patience.retries + 1);
            let problem =
                format!("`{url}`: no answer within {seconds} s, asked up to {times} times");
            return refused(io::ErrorKind::TimedOut, problem, BROKEN);
        }
        let said: Vec<String> = causes.iter().map(ToString::to_string).collect();
        let has = |words: &[&str]| {
            words.iter().any(|word| said.iter().any(|said| said.to_lowercase().contains(word)))
        };
        let remedy = match () {
            () if has(&["certificate", "handshake"]) => TLS,
            () if has(&["non-partial response", "range request not supported"]) => NO_PARTS,
            () if has(&["configured region", "authorizationheadermalformed"]) => REGION,
            () => BROKEN,
        };
        // The second says what was asked and how often, the last why it failed.
        let mut text = said.get(1).or(said.first()).cloned().unwrap_or_default();
        if let Some(last) = said.last().filter(|last| !text.contains(last.as_str())) {
            text = format!("{text}: {last}");
        }
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        refusal(format!("`{url}`: {}", text.chars().take(SHOWN).collect::<String>()), remedy)
    }
}

/// An error and what caused it, the last what came first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = vec![error];
    let mut error = error;
    while let Some(cause) = error.source() {
        causes.push(cause);
        error = cause;
    }
    causes
}

fn is_timeout(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<HttpError>().is_some_and(|error| error.kind() == HttpErrorKind::Timeout)
}
