//! [`Processor`]: what the machine says of itself.

/// The processor of this machine, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// What it calls itself; empty where it does not say.
    pub name: String,
    /// Those of its features that kernels are written for, as Linux calls them.
    pub features: Vec<&'static str>,
}

impl Processor {
    /// Asks the processor.
    #[cfg(target_arch = "x86_64")]
    pub fn ask() -> Self {
        let mut features = Vec::new();
        macro_rules! feature {
            ($($name:tt),*) => {
                $(if is_x86_feature_detected!($name) {
                    features.push($name);
                })*
            };
        }
        feature!("avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16");
        let leaf = std::arch::x86_64::__cpuid_count(7, 0);
        for (bit, name) in [(24, "amx_tile"), (22, "amx_bf16")] {
            if leaf.edx >> bit & 1 == 1 {
                features.push(name);
            }
        }
        Self { name: name(), features }
    }

    /// Asks the processor.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn ask() -> Self {
        Self { name: std::env::consts::ARCH.to_owned(), features: Vec::new() }
    }
}

/// The 48 letters in which a processor names itself.
#[cfg(target_arch = "x86_64")]
fn name() -> String {
    use std::arch::x86_64::__cpuid;

    const FIRST: u32 = 0x8000_0002;
    if __cpuid(0x8000_0000).eax < FIRST + 2 {
        return String::new();
    }
    let leaves = [FIRST, FIRST + 1, FIRST + 2].map(__cpuid);
    let letters = leaves.map(|it| [it.eax, it.ebx, it.ecx, it.edx].map(u32::to_le_bytes));
    let letters = letters.as_flattened().as_flattened();
    String::from_utf8_lossy(letters).trim_matches(['\0', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;

    #[test]
    fn what_is_used_is_among_the_features() {
        let processor = Processor::ask();
        let has = |name: &str| processor.features.contains(&name);
        assert_eq!(has("avx512bf16") && has("avx512f"), InstructionSet::Avx512Bf16.is_there());
        assert!(has("amx_bf16") || !InstructionSet::Amx.is_there());
    }
}
