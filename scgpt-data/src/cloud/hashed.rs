//! [`Hashed`]: a file that is fetched.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use crate::hex::hex;

/// A file whose bytes are hashed on their way. `told` hears of further bytes, and ends it by `false`.
pub(crate) struct Hashed<F> {
    file: File,
    hash: Sha256,
    told: F,
    is_stopped: bool,
}

impl<F: Fn(u64) -> bool> Hashed<F> {
    /// A new file, in place of one that is there.
    pub(crate) fn create(path: &Path, told: F) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, hash: Sha256::new(), told, is_stopped: false })
    }

    /// A file that goes on behind the bytes that it has, and their number.
    pub(crate) fn go_on(path: &Path, told: F) -> io::Result<(Self, u64)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let (mut hash, mut length) = (Sha256::new(), 0);
        let mut bytes = vec![0; 1 << 20];
        loop {
            match file.read(&mut bytes)? {
                0 => break,
                n => {
                    hash.update(&bytes[..n]);
                    length += n as u64;
                }
            }
        }
        Ok((Self { file, hash, told, is_stopped: false }, length))
    }

    /// Whether it was ended by whom it told.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Waits until all is on the disk, and returns the SHA-256 in hexadecimal digits.
    pub(crate) fn finish(self) -> io::Result<String> {
        self.file.sync_all()?;
        Ok(hex(&self.hash.finalize()))
    }
}

impl<F: Fn(u64) -> bool> Write for Hashed<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.is_stopped = !(self.told)(n as u64);
        if self.is_stopped { Err(io::Error::other("stopped")) } else { Ok(n) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
