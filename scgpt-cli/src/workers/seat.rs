//! [`Seat`]: where a worker is, and [`Here`]: what it has in common with others there.

use std::fs::read_to_string;

/// Where a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) host: String,
    /// What tells machines apart that are called alike, as containers may be: drawn when the machine starts.
    boot: String,
    /// The cores that it may use, as the system writes them.
    cores: String,
}

/// The workers on this machine.
pub(super) struct Here {
    /// Number of this worker among them, from 0.
    pub(super) number: usize,
    /// Number of those that have the same cores.
    pub(super) sharing: usize,
    /// Number of machines.
    pub(super) machines: usize,
}

impl Seat {
    /// Bytes by which a worker says where it is.
    pub(super) const BYTES: usize = 512;

    /// That of this worker, on a machine of that name.
    pub(super) fn own(host: String) -> Self {
        let read = |path| read_to_string(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Self {
            host,
            boot: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            cores: cores.unwrap_or_default().trim().to_owned(),
        }
    }

    /// All texts, cut to that many bytes or filled up with zeros.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.host, &self.boot, &self.cores].map(String::as_str).join("\n");
        bytes.truncate(bytes.floor_char_boundary(Self::BYTES));
        let mut bytes = bytes.into_bytes();
        bytes.resize(Self::BYTES, 0);
        bytes
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut parts = text.trim_end_matches('\0').splitn(3, '\n').map(str::to_owned);
        let [host, boot, cores] = [(); 3].map(|()| parts.next().unwrap_or_default());
        Self { host, boot, cores }
    }
}

impl Here {
    /// What the worker of that number has in common with others.
    pub(super) fn of(rank: usize, seats: &[Seat]) -> Self {
        let machine = |seat: &Seat| (seat.host.clone(), seat.boot.clone());
        let own = &seats[rank];
        let mut machines: Vec<_> = seats.iter().map(machine).collect();
        machines.sort_unstable();
        machines.dedup();
        Self {
            number: seats[..rank].iter().filter(|seat| machine(seat) == machine(own)).count(),
            sharing: seats.iter().filter(|seat| *seat == own).count(),
            machines: machines.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat([host, boot, cores]: [&str; 3]) -> Seat {
        Seat { host: host.into(), boot: boot.into(), cores: cores.into() }
    }

    #[test]
    fn workers_on_the_same_cores_share_them() {
        let seats = [["a", "1", "0-3"], ["b", "2", "0-3"], ["a", "1", "0-3"], ["a", "1", "4-7"]];
        // A container of the same name, on another machine.
        let seats = [&seats[..], &[["a", "3", "0-3"]]].concat();
        let seats: Vec<Seat> = seats.into_iter().map(seat).collect();
        let found = |rank| {
            let Here { number, sharing, machines } = Here::of(rank, &seats);
            (number, sharing, machines)
        };
        let expected = [(0, 2, 3), (0, 1, 3), (1, 2, 3), (2, 1, 3), (0, 1, 3)];
        assert_eq!([0, 1, 2, 3, 4].map(found), expected);
    }

    #[test]
    fn a_seat_is_the_same_for_others() {
        let own = Seat::own("node7".into());
        assert!(!own.cores.is_empty() || cfg!(not(target_os = "linux")));
        assert_eq!(Seat::of_bytes(&own.to_bytes()), own);
        let many = seat(["a", "1", &"0,2,".repeat(300)]);
        assert_eq!(Seat::of_bytes(&many.to_bytes()).host, "a");
    }
}
