//! [`Cpu`]: which instructions there are, and which are used.

use std::{fmt, str::FromStr, sync::OnceLock};

#[cfg(target_arch = "x86_64")]
use crate::{
    engine::{Amx, Pairs, Permission},
    lanes::{Avx2, Avx512, Avx512Halves},
};
use crate::{
    engine::{Single, Software, Task},
    format::Format,
    lanes::Portable,
};

/// Instructions that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstructionSet {
    /// Tiles of bf16 numbers (Intel, from Sapphire Rapids on), and AVX-512 for all else.
    Amx,
    /// Pairs of bf16 numbers (`vdpbf16ps`) for [`Format::Bf16`], and AVX-512 for all else. Chosen by
    /// itself on AMD alone (from Zen 4 on): on Intel it is slower than f32.
    Avx512Bf16,
    /// f32 in sixteen lanes.
    Avx512,
    /// f32 in eight lanes, with fused multiply-add.
    Avx2,
    /// f32 without instructions of any one processor.
    Portable,
    /// Tiles in portable code, with the bits of [`Amx`](Self::Amx). Slow, and never chosen by itself:
    /// for tests.
    Software,
}

impl InstructionSet {
    /// All sets, the best first.
    pub const ALL: [Self; 6] =
        [Self::Amx, Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Portable, Self::Software];

    /// What it is called: `amx`, `avx512bf16`, `avx512`, `avx2`, `portable`, `software`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
            Self::Software => "software",
        }
    }

    /// Whether this processor has it, and the system lets it be used.
    pub fn is_there(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Amx => Permission::ask().is_some(),
            Self::Avx512Bf16 => Avx512::detect().is_some() && Avx512Halves::detect().is_some(),
            Self::Avx512 => Avx512::detect().is_some(),
            Self::Avx2 => Avx2::detect().is_some(),
            Self::Portable | Self::Software => true,
        }
        #[cfg(not(target_arch = "x86_64"))]
        matches!(self, Self::Portable | Self::Software)
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why instructions cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// A word that names no set.
    #[error("`{0}` is no instruction set: use amx, avx512bf16, avx512, avx2, portable or software")]
    Unknown(String),
    /// A set that is not there.
    #[error("this processor, or the system, has no `{set}`: there is {there}")]
    Absent {
        /// What was asked for.
        set: InstructionSet,
        /// What there is, in words.
        there: String,
    },
    /// The process computes with others already.
    #[error("kernels use `{used}` already, and cannot go over to `{asked}`")]
    Used {
        /// What was asked for.
        asked: InstructionSet,
        /// What is used.
        used: InstructionSet,
    },
}

impl FromStr for InstructionSet {
    type Err = CpuError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|set| set.name() == name);
        found.ok_or_else(|| CpuError::Unknown(name.to_owned()))
    }
}

/// The instructions that operators use. That a value exists says that they are there.
///
/// ```
/// use scgpt_kernels::{Cpu, Format, InstructionSet};
///
/// let cpu = Cpu::with(InstructionSet::Portable)?;
/// assert_eq!(cpu.computes_in(Format::Bf16), Format::F32); // which is as exact, and faster there
/// # Ok::<(), scgpt_kernels::CpuError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    set: InstructionSet,
}

/// What [`Cpu::best`] gives in this process.
static BEST: OnceLock<InstructionSet> = OnceLock::new();

impl Cpu {
    /// The best of what there is, unless others were [installed](Self::install).
    pub fn best() -> Self {
        let choose = || {
            let serves = |set: &InstructionSet| {
                set.is_there() && (*set != InstructionSet::Avx512Bf16 || is_amd())
            };
            let set = InstructionSet::ALL.into_iter().find(serves);
            set.unwrap_or(InstructionSet::Portable)
        };
        Self { set: *BEST.get_or_init(choose) }
    }

    /// Instructions of one set.
    ///
    /// # Errors
    /// If it is not there.
    pub fn with(set: InstructionSet) -> Result<Self, CpuError> {
        if set.is_there() {
            return Ok(Self { set });
        }
        let there: Vec<&str> = Self::all().map(|cpu| cpu.set.name()).collect();
        Err(CpuError::Absent { set, there: there.join(", ") })
    }

    /// Makes these what [`best`](Self::best) gives in this process, as a thread pool is made that of
    /// all.
    ///
    /// # Errors
    /// If others were asked for before.
    pub fn install(self) -> Result<(), CpuError> {
        let used = *BEST.get_or_init(|| self.set);
        if used == self.set { Ok(()) } else { Err(CpuError::Used { asked: self.set, used }) }
    }

    /// Those of the set that is named, or the best if none is.
    ///
    /// # Errors
    /// If the name is unknown, or the set is not there.
    pub fn named(name: Option<&str>) -> Result<Self, CpuError> {
        name.map_or_else(|| Ok(Self::best()), |name| Self::with(name.parse()?))
    }

    /// All that can be used here, the best first.
    pub fn all() -> impl Iterator<Item = Self> {
        InstructionSet::ALL.into_iter().filter(|set| set.is_there()).map(|set| Self { set })
    }

    /// The set.
    pub fn set(self) -> InstructionSet {
        self.set
    }

    /// The format in which what is asked for is computed: itself, or f32 where that is faster.
    pub fn computes_in(self, format: Format) -> Format {
        match (self.set, format) {
            (InstructionSet::Amx | InstructionSet::Software, _)
            | (InstructionSet::Avx512Bf16, Format::Bf16) => format,
            _ => Format::F32,
        }
    }

    /// Runs a task on the engine of a format.
    pub(crate) fn run<T: Task>(self, format: Format, task: T) -> T::Output {
        if self.set == InstructionSet::Software {
            return match format {
                Format::F32 => portable(task),
                Format::Bf16x6 => task.run(&Software::<3, 2>::new()),
                Format::Bf16x3 => task.run(&Software::<2, 2>::new()),
                Format::Bf16 => task.run(&Software::<1, 1>::new()),
            };
        }
        #[cfg(target_arch = "x86_64")]
        match (self.set, Permission::ask(), Avx512::detect(), Avx512Halves::detect()) {
            (InstructionSet::Amx, Some(tiles), _, _) if format == Format::Bf16x6 => {
                return task.run(&Amx::<3, 2>::new(tiles));
            }
            (InstructionSet::Amx, Some(tiles), _, _) if format == Format::Bf16x3 => {
                return task.run(&Amx::<2, 2>::new(tiles));
            }
            (InstructionSet::Amx, Some(tiles), _, _) if format == Format::Bf16 => {
                return task.run(&Amx::<1, 1>::new(tiles));
            }
            (InstructionSet::Avx512Bf16, _, Some(lanes), Some(halves))
                if format == Format::Bf16 =>
            {
                return task.run(&Pairs { lanes, halves });
            }
            (InstructionSet::Avx2, ..) => {
                if let Some(lanes) = Avx2::detect() {
                    return task.run(&Single::<_, 4, 1> { lanes });
                }
            }
            (InstructionSet::Portable, ..) => {}
            (_, _, Some(lanes), _) => return task.run(&Single::<_, 8, 2> { lanes }),
            _ => {}
        }
        portable(task)
    }
}

fn portable<T: Task>(task: T) -> T::Output {
    task.run(&Single::<_, 4, 1> { lanes: Portable })
}

#[cfg(target_arch = "x86_64")]
fn is_amd() -> bool {
    let leaf = std::arch::x86_64::__cpuid(0);
    [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_amd() -> bool {
    false
}

#[cfg(test)]
mod tests;
