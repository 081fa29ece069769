//! [`lsi`]: peaks of open chromatin as a few components.
//!
//! Of 25 000 peaks a nucleus has some dozens or hundreds, and nearly all of them once. What tells nuclei apart is
//! which peaks these are, and rare ones tell more than common ones: TF-IDF weighs them so, as words of a text,
//! and a truncated singular value decomposition makes components of the weights. The first of them is mostly how
//! deep a nucleus was sequenced, which says nothing of its type.

use scgpt_data::{
    CellSource, Csr, InputState, Layer, Observer, ReadBlocks as _, Result, Setting, Watched,
    unscaled,
};
use scgpt_stats::{SparseCell, Subspace, pearson};

/// Passes over the cells that find the components.
const PASSES: usize = 5;
/// Cells read at once.
const BLOCK: usize = 4096;
/// What weights are multiplied by before the logarithm.
const SCALE: f64 = 1e4;
/// Correlation of a component with the logarithm of sequencing depth, of either sign, above which it is left out.
const OF_DEPTH: f64 = 0.75;
/// Share of the sum of squares below which a component is rounding.
const ROUNDING: f64 = 1e-10;

/// Positions of cells by latent semantic indexing of their peaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Lsi {
    /// `[n, n_components]`, row-major, in the order of the source; each column has mean 0 and variance 1.
    pub rows: Vec<f32>,
    /// Components that are left.
    pub n_components: usize,
    /// Components that are not, as they follow sequencing depth.
    pub of_depth: Vec<DepthComponent>,
}

/// A component that follows sequencing depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthComponent {
    /// Its number among all components, the first 1, as people count them.
    pub number: usize,
    /// Pearson correlation, over the cells that have counts, with the logarithm of the sum of their counts.
    pub correlation: f64,
}

impl Lsi {
    /// Which components were left out and why, for people; nothing if none was.
    pub fn left_out(&self) -> Option<String> {
        let one = |DepthComponent { number, correlation }: &DepthComponent| {
            format!("component {number} (correlation {correlation:.2})")
        };
        let all: Vec<String> = self.of_depth.iter().map(one).collect();
        let are_left = format!("left out, as sequencing depth tells as much: {}", all.join(", "));
        (!all.is_empty()).then_some(are_left)
    }
}

/// Weighs the peaks of every cell by TF-IDF, `log1p(10⁴ · count / sum of the cell · cells / sum of the peak)`,
/// and finds up to `n_components` singular vectors of the weights, through zero.
///
/// Components whose correlation with the logarithm of sequencing depth is above 0.75 are left out, but for the
/// one that follows it least if all do; the others are scaled to mean 0 and variance 1. A cell without counts has
/// no weights. Values that are logarithms are taken back to what they were logarithms of.
///
/// The source is read seven times, and memory holds one block, about `200 · peaks` numbers at 50 components, and
/// the result, which does not depend on blocks or threads.
///
/// # Errors
/// If the source cannot be read or has negative values; if `n_components` is zero;
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// `RunTFIDF(method = 1)` and `RunSVD` of Signac (Stuart et al. 2021); `muon.atac.pp.tfidf(log_tf=False,
/// log_idf=False, log_tfidf=True)` and `muon.atac.tl.lsi`. Differs: the components that follow depth are told by
/// the threshold of ArchR (`corCutOff`, Granja et al. 2021), where Signac's users leave out the first;
/// components are found by randomised subspace iteration.
pub fn lsi(
    source: &mut dyn CellSource,
    layer: &Layer,
    n_components: usize,
    observer: &dyn Observer,
) -> Result<Lsi> {
    in_blocks(source, layer, n_components, BLOCK, observer)
}

/// [`lsi`] of cells that are read so many at once.
fn in_blocks(
    source: &mut dyn CellSource,
    layer: &Layer,
    n_components: usize,
    block: usize,
    observer: &dyn Observer,
) -> Result<Lsi> {
    if n_components == 0 {
        return Err(Setting("n_components").zero().into());
    }
    let (_, n_peaks) = source.summary().shape(layer)?;
    let state = unscaled(source, layer)?.state;
    let mut each = |stage: &str, visit: &mut dyn FnMut(Csr)| -> Result<()> {
        observer.begin(stage, source.summary().n_cells);
        for block in (Watched { source: &mut *source, observer }).blocks(layer, block) {
            visit(counts(block?.1, state));
        }
        Ok(())
    };
    let mut weights = TfIdf::new(n_peaks);
    each("counting peaks", &mut |block| weights.count(&block))?;
    let mut subspace = Subspace::uncentred(n_peaks, n_components, observer)?;
    for pass in 0..PASSES {
        if pass > 0 {
            subspace.turn(observer)?;
        }
        let stage = format!("finding components of peaks, {} of {PASSES}", pass + 1);
        each(&stage, &mut |block| subspace.add(&weights.of(&block)))?;
    }
    let singular = subspace.principal(n_components, observer)?;
    let mut rows = Vec::with_capacity(weights.depths.len() * singular.n());
    each("projecting cells on peaks", &mut |block| {
        for (peaks, values) in weights.of(&block) {
            rows.extend(singular.project(&peaks, &values));
        }
    })?;
    let n = singular.shares().iter().take_while(|share| **share > ROUNDING).count().max(1);
    let n = n.min(singular.n());
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|i| rows.iter().skip(i).step_by(singular.n()).copied().map(f64::from).collect())
        .collect();
    Ok(without_depth(&columns, &weights.depths))
}

/// Values on the scale of counts.
fn counts(mut block: Csr, state: InputState) -> Csr {
    if matches!(state, InputState::LoggedCounts | InputState::Log1p) {
        for cell in 0..block.n_cells() {
            for value in block.row_values_mut(cell) {
                *value = value.exp_m1();
            }
        }
    }
    block
}

/// Weights of the peaks of a cell.
struct TfIdf {
    /// Counts of each peak in all cells.
    sums: Vec<f64>,
    /// Counts of each cell in all peaks: its sequencing depth.
    depths: Vec<f64>,
}

impl TfIdf {
    fn new(n_peaks: usize) -> Self {
        Self { sums: vec![0.0; n_peaks], depths: Vec::new() }
    }

    /// Adds further cells to the sums.
    fn count(&mut self, block: &Csr) {
        for row in block.rows() {
            for (&peak, &x) in row.indices.iter().zip(row.values) {
                self.sums[peak as usize] += f64::from(x);
            }
            self.depths.push(depth(row.values));
        }
    }

    /// The weights of cells, once all have been counted.
    fn of(&self, block: &Csr) -> Vec<SparseCell> {
        let n = self.depths.len() as f64;
        let weights = block.rows().map(|row| {
            let depth = depth(row.values);
            let pairs = row.indices.iter().zip(row.values).filter(|(_, x)| **x > 0.0);
            let weight = |(&peak, &x): (&u32, &f32)| {
                let (frequency, rarity) = (f64::from(x) / depth, n / self.sums[peak as usize]);
                #[allow(clippy::cast_possible_truncation, reason = "as narrow as the counts")]
                let weight = (SCALE * frequency * rarity).ln_1p() as f32;
                (peak, weight)
            };
            pairs.map(weight).unzip()
        });
        weights.collect()
    }
}

fn depth(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum()
}

/// The components `columns` that do not follow the `depths` of the cells, each scaled to mean 0 and variance 1.
fn without_depth(columns: &[Vec<f64>], depths: &[f64]) -> Lsi {
    let counted: Vec<usize> = (0..depths.len()).filter(|&cell| depths[cell] > 0.0).collect();
    let log_depths: Vec<f64> = counted.iter().map(|&cell| depths[cell].ln()).collect();
    let correlation = |column: &Vec<f64>| {
        let counted: Vec<f64> = counted.iter().map(|&cell| column[cell]).collect();
        if counted.is_empty() { 0.0 } else { pearson(&counted, &log_depths) }
    };
    let correlations: Vec<f64> = columns.iter().map(correlation).collect();
    let follows = |i: &usize| correlations[*i].abs() > OF_DEPTH;
    let mut kept: Vec<usize> = (0..columns.len()).filter(|i| !follows(i)).collect();
    if kept.is_empty() {
        let by_depth =
            |a: &usize, b: &usize| correlations[*a].abs().total_cmp(&correlations[*b].abs());
        kept.extend((0..columns.len()).min_by(by_depth));
    }
    let of_depth = (0..columns.len()).filter(|i| !kept.contains(i));
    let of_depth = of_depth.map(|i| DepthComponent { number: i + 1, correlation: correlations[i] });
    let mut rows = vec![0.0; depths.len() * kept.len()];
    for (place, &i) in kept.iter().enumerate() {
        let n = depths.len().max(1) as f64;
        let mean = columns[i].iter().sum::<f64>() / n;
        let variance = columns[i].iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let scale = if variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
        for (out, x) in rows.iter_mut().skip(place).step_by(kept.len()).zip(&columns[i]) {
            #[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
            let scaled = ((x - mean) * scale) as f32;
            *out = scaled;
        }
    }
    Lsi { rows, n_components: kept.len(), of_depth: of_depth.collect() }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Frame, Keyed, MemoryCells, Purpose, Silent};

    use super::*;

    fn cells(n_peaks: usize, rows: Vec<(Vec<u32>, Vec<f32>)>) -> MemoryCells<'static> {
        let names = |of: &str, n: usize| Frame::of_names((0..n).map(|i| format!("{of}{i}")));
        let obs = names("cell", rows.len());
        MemoryCells::of(Csr::of_rows(n_peaks, rows).unwrap(), obs, names("peak", n_peaks)).unwrap()
    }

    /// Nuclei of two types, each of which opens half of 60 peaks, sequenced to depths from 6 to 30 peaks.
    fn simulated(n: usize) -> MemoryCells<'static> {
        let key = Keyed::new(5, Purpose::Simulate, 0, 0);
        let row = |cell: usize| {
            let depth = 0.2 + 0.8 * key.uniform(cell as u64);
            let opens = |peak: usize| {
                let chance = if peak % 2 == cell % 2 { 0.9 } else { 0.1 };
                key.uniform((n + cell * 60 + peak) as u64) < chance * depth
            };
            let peaks: Vec<u32> = (0..60_u32).filter(|&peak| opens(peak as usize)).collect();
            (peaks.clone(), vec![1.0; peaks.len()])
        };
        cells(60, (0..n).map(row).collect())
    }

    #[test]
    fn weights_are_those_computed_by_hand() {
        let mut source = cells(
            3,
            vec![
                (vec![0, 1], vec![1.0, 3.0]),
                (vec![1], vec![2.0]),
                (vec![], vec![]),
                (vec![0, 2], vec![1.0, 1.0]),
            ],
        );
        let block = source.read(&Layer::X, 0..4).unwrap();
        let mut weights = TfIdf::new(3);
        weights.count(&block);
        assert_eq!(
            (&weights.sums[..], &weights.depths[..]),
            (&[2.0, 5.0, 1.0][..], &[4.0, 2.0, 0.0, 2.0][..])
        );
        // 10⁴ · 1/4 · 4/2, 10⁴ · 3/4 · 4/5; 10⁴ · 2/2 · 4/5; 10⁴ · 1/2 · 4/2, 10⁴ · 1/2 · 4/1.
        let expected: [&[f64]; 4] = [&[5e3, 6e3], &[8e3], &[], &[1e4, 2e4]];
        for ((_, found), expected) in weights.of(&block).iter().zip(expected) {
            assert_eq!(found.len(), expected.len());
            for (&found, expected) in found.iter().zip(expected) {
                assert!((f64::from(found) - expected.ln_1p()).abs() < 1e-6, "{found} {expected}");
            }
        }
    }

    #[test]
    fn the_component_of_depth_is_left_out_and_types_remain() {
        let found = lsi(&mut simulated(400), &Layer::X, 5, &Silent).unwrap();
        assert_eq!(found.of_depth.len(), 1, "{:?}", found.of_depth);
        assert_eq!((found.of_depth[0].number, found.n_components), (1, 4));
        assert!(found.of_depth[0].correlation.abs() > 0.9, "{:?}", found.of_depth);
        let first: Vec<f64> = found.rows.iter().step_by(4).copied().map(f64::from).collect();
        let types: Vec<f64> = (0..400).map(|cell| f64::from(cell % 2)).collect();
        assert!(pearson(&first, &types).abs() > 0.9, "{}", pearson(&first, &types));
    }

    #[test]
    fn where_all_follows_depth_the_component_that_does_so_least_remains() {
        let depths = [1.0, 10.0, 100.0, 1000.0];
        let columns = [vec![1.0, 2.0, 3.0, 4.0], vec![-1.0, -2.0, -3.0, -3.5]];
        let found = without_depth(&columns, &depths);
        assert_eq!((found.n_components, found.of_depth.len()), (1, 1));
        assert!((found.of_depth[0].correlation - 1.0).abs() < 1e-12 && found.rows[0] > 1.0);
    }

    #[test]
    fn blocks_change_no_bit() {
        let mut source = simulated(90);
        let mut of = |block| in_blocks(&mut source, &Layer::X, 4, block, &Silent).unwrap();
        let whole = of(90);
        assert!([1, 7, 64].into_iter().all(|block| of(block) == whole));
    }

    #[test]
    fn logarithms_are_taken_back_and_fewer_peaks_make_fewer_components() {
        let few = |change: fn(f32) -> f32| {
            let row = |cell: u16| {
                let x = [1 + cell % 7, 1 + cell % 5, 1 + cell % 3];
                (vec![0, 1, 2], x.map(|x| change(f32::from(x))).to_vec())
            };
            lsi(&mut cells(3, (0..60).map(row).collect()), &Layer::X, 9, &Silent).unwrap()
        };
        let (counts, logged) = (few(|x| x), few(f32::ln_1p));
        assert_eq!(counts.n_components + counts.of_depth.len(), 3);
        let apart = counts.rows.iter().zip(&logged.rows).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-3);
        assert!(lsi(&mut simulated(9), &Layer::X, 0, &Silent).is_err());
    }
}
