//! Tiles of the processor (AMX), by inline assembly: stable Rust has no functions for them.
#![allow(unsafe_code, reason = "instructions for tiles are written in assembly")]

use std::{arch::asm, cell::Cell, marker::PhantomData, sync::OnceLock};

use super::{
    Engine, Made, On, Step,
    halves::{self, pack_parts},
};
use crate::{
    block::{Block, Tile},
    lanes::{Avx512, Avx512Halves, Halves},
};

/// Proof that this process may use tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permission {
    lanes: Avx512,
    halves: Avx512Halves,
}

impl Permission {
    /// Asks processor and system, once.
    pub(crate) fn ask() -> Option<Self> {
        static GRANTED: OnceLock<Option<Permission>> = OnceLock::new();
        *GRANTED.get_or_init(|| {
            let lanes = Avx512::detect()?;
            let halves = Avx512Halves::detect()?;
            let leaf = std::arch::x86_64::__cpuid_count(7, 0);
            let has_tiles = leaf.edx >> 24 & 1 == 1 && leaf.edx >> 22 & 1 == 1;
            (has_tiles && is_granted()).then_some(Self { lanes, halves })
        })
    }
}

/// Whether Linux lets this process have the registers: 8 KiB more for each thread that uses them.
#[cfg(target_os = "linux")]
fn is_granted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: the call reads no memory; it clobbers what is named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_granted() -> bool {
    false
}

#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight tiles are 16 rows of 64 bytes.
static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

thread_local! {
    /// Engines of this thread.
    static ENGINES: Cell<usize> = const { Cell::new(0) };
}

/// Tiles of `P` parts on this thread, which are configured while there is an engine; of `A` parts in the
/// attention of a stack.
#[derive(Debug)]
pub(crate) struct Amx<const P: usize, const A: usize> {
    lanes: Avx512,
    halves: Avx512Halves,
    /// The configuration is of a thread.
    stays_here: PhantomData<*const ()>,
}

impl<const P: usize, const A: usize> Amx<P, A> {
    pub(crate) fn new(Permission { lanes, halves }: Permission) -> Self {
        if ENGINES.replace(ENGINES.get() + 1) == 0 {
            // SAFETY: the permission says that the instruction is there; it reads a valid
            // configuration, and all tile registers are marked as clobbered.
            unsafe {
                asm!(
                    "ldtilecfg [{}]", in(reg) &raw const SHAPES,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, readonly),
                );
            }
        }
        Self { lanes, halves, stays_here: PhantomData }
    }
}

impl<const P: usize, const A: usize> Drop for Amx<P, A> {
    fn drop(&mut self) {
        let left = ENGINES.get() - 1;
        ENGINES.set(left);
        if left == 0 {
            // SAFETY: the engine could be made, so the instruction is there; no other is left that
            // relies on the configuration.
            unsafe {
                asm!(
                    "tilerelease",
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, nomem),
                );
            }
        }
    }
}

/// Loads part `$p` of the left operand: rows 0 to 15, and 16 to 31.
macro_rules! l {
    ($p:literal) => {
        concat!(
            "tileloadd tmm4, [{a} + {s}*1 + 2048*",
            $p,
            "]\n",
            "tileloadd tmm5, [{a} + {s}*1 + 2048*",
            $p,
            " + 1024]\n",
        )
    };
}

/// Loads part `$p` of the right operand: columns 0 to 15, and 16 to 31.
macro_rules! r {
    ($p:literal) => {
        concat!(
            "tileloadd tmm6, [{b} + {s}*1 + 2048*",
            $p,
            "]\n",
            "tileloadd tmm7, [{b} + {s}*1 + 2048*",
            $p,
            " + 1024]\n",
        )
    };
}

/// Adds the product of what is loaded.
macro_rules! dot {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6\n\
         tdpbf16ps tmm1, tmm4, tmm7\n\
         tdpbf16ps tmm2, tmm5, tmm6\n\
         tdpbf16ps tmm3, tmm5, tmm7\n"
    };
}

/// Begins with zeros.
macro_rules! zero {
    () => {
        "tilezero tmm0\ntilezero tmm1\ntilezero tmm2\ntilezero tmm3\n"
    };
}

/// Begins with what the block holds.
macro_rules! resume {
    () => {
        "tileloadd tmm0, [{c} + {s}*2]\n\
         tileloadd tmm1, [{c} + {s}*2 + 64]\n\
         tileloadd tmm2, [{c} + {s}*2 + 2048]\n\
         tileloadd tmm3, [{c} + {s}*2 + 2112]\n"
    };
}

/// Fetches four cache lines into the second cache.
macro_rules! fetch {
    () => {
        "prefetcht1 [{n}]\n\
         prefetcht1 [{n} + 64]\n\
         prefetcht1 [{n} + 128]\n\
         prefetcht1 [{n} + 192]\n\
         add {n}, 256\n"
    };
}

/// The sum over steps, each of `$parts` parts.
macro_rules! sum {
    ($parts:literal, $begin:expr, [$($body:expr),*], [$($fetch:expr),*], $operands:ident) => {
        asm!(
            $begin,
            "2:",
            $($body,)*
            $($fetch,)*
            "add {a}, 2048 * {parts}",
            "add {b}, 2048 * {parts}",
            "dec {k}",
            "jnz 2b",
            "tilestored [{c} + {s}*2], tmm0",
            "tilestored [{c} + {s}*2 + 64], tmm1",
            "tilestored [{c} + {s}*2 + 2048], tmm2",
            "tilestored [{c} + {s}*2 + 2112], tmm3",
            "/* {n} */", // where nothing is fetched, an operand has to be named all the same
            a = inout(reg) $operands.left => _,
            b = inout(reg) $operands.right => _,
            k = inout(reg) $operands.steps => _,
            n = inout(reg) $operands.ahead => _,
            c = in(reg) $operands.block,
            s = in(reg) 64_usize,
            parts = const $parts,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// As [`sum`], by what it begins with and what is fetched meanwhile.
macro_rules! variants {
    ($parts:literal, $body:tt, $fetch:tt, $add:expr, $fetches:expr, $operands:ident) => {
        match ($add, $fetches) {
            (true, true) => sum!($parts, resume!(), $body, $fetch, $operands),
            (true, false) => sum!($parts, resume!(), $body, [], $operands),
            (false, true) => sum!($parts, zero!(), $body, $fetch, $operands),
            (false, false) => sum!($parts, zero!(), $body, [], $operands),
        }
    };
}

/// What a sum is of, and where it goes.
#[derive(Clone, Copy)]
struct Operands {
    left: *const Tile,
    right: *const Tile,
    steps: usize,
    ahead: *const Tile,
    block: *mut Block,
}

impl<const P: usize, const A: usize> Engine for Amx<P, A> {
    type Lanes = Avx512;
    type Attention = Amx<A, A>;

    const TILES: usize = 2 * P;
    const EXACT: bool = P > 1;

    pack_parts!(P);

    #[inline(always)]
    fn attention(&self) -> Amx<A, A> {
        Amx::new(Permission { lanes: self.lanes, halves: self.halves })
    }

    #[inline(always)]
    fn product<const ADD: bool>(
        &self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        ahead: Option<&Tile>,
    ) {
        assert!(left.len() == right.len() && left.len().is_multiple_of(2 * P), "whole operands");
        let steps = left.len() / (2 * P);
        if steps == 0 {
            if !ADD {
                *c = Block::ZERO;
            }
            return;
        }
        let on = Operands {
            left: left.as_ptr(),
            right: right.as_ptr(),
            steps,
            ahead: ahead.map_or(std::ptr::null(), std::ptr::from_ref),
            block: c,
        };
        let fetches = ahead.is_some();
        // SAFETY: this engine was made on this thread, so tiles are configured. Each step reads 2 P
        // tiles of either operand, of which there are 2 P for each of the steps; the sum begins with
        // the whole block, or with zeros, and ends in the whole block. What is fetched ahead need
        // not exist: that instruction never fails.
        unsafe {
            match P {
                1 => variants!(1, [l!(0), r!(0), dot!()], [fetch!()], ADD, fetches, on),
                2 => variants!(
                    2,
                    [l!(1), r!(0), dot!(), l!(0), dot!(), r!(1), dot!()],
                    [fetch!(), fetch!()],
                    ADD,
                    fetches,
                    on
                ),
                _ => variants!(
                    3,
                    [
                        l!(2),
                        r!(0),
                        dot!(),
                        l!(0),
                        r!(2),
                        dot!(),
                        r!(0),
                        dot!(),
                        l!(1),
                        dot!(),
                        r!(1),
                        dot!(),
                        l!(0),
                        dot!()
                    ],
                    [fetch!(), fetch!(), fetch!()],
                    ADD,
                    fetches,
                    on
                ),
            }
        }
    }
}
