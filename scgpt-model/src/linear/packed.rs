//! [`Packed`]: the weight of a layer in the forms that kernels read.

use std::sync::{Arc, OnceLock};

use scgpt_kernels::{Cpu, Format, PackedMatrix};

/// A weight, packed when it is first used; copies share what is packed.
#[derive(Clone, Debug)]
pub(super) struct Packed(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    format: Format,
    shape: [usize; 2],
    weight: OnceLock<PackedMatrix>,
    transposed: OnceLock<PackedMatrix>,
}

impl Packed {
    /// Nothing packed yet. `None` for a narrow weight: kernels compute 32 columns at a time.
    pub(super) fn new(format: Format, shape: [usize; 2]) -> Option<Self> {
        let forms = Forms { format, shape, weight: OnceLock::new(), transposed: OnceLock::new() };
        shape.iter().all(|&width| width >= 32).then(|| Self(Arc::new(forms)))
    }

    /// `[d_in, d_out]`.
    pub(super) fn shape(&self) -> [usize; 2] {
        self.0.shape
    }

    pub(super) fn format(&self) -> Format {
        self.0.format
    }

    /// `W`, whose numbers are those.
    pub(super) fn weight(&self, weight: &[f32]) -> &PackedMatrix {
        let Forms { format, shape, weight: packed, .. } = &*self.0;
        packed.get_or_init(|| PackedMatrix::new(Cpu::best(), *format, weight, *shape))
    }

    /// `Wᵀ`, where the numbers of `W` are those.
    pub(super) fn transposed(&self, weight: &[f32]) -> &PackedMatrix {
        let Forms { format, shape, transposed: packed, .. } = &*self.0;
        packed.get_or_init(|| PackedMatrix::transposed(Cpu::best(), *format, weight, *shape))
    }
}
