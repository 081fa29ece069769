//! [`multiomic_baselines`]: simple ways to join modalities.

use std::borrow::Cow;

use scgpt_data::{
    ATAC, CellSource, CellSubset, Error, GeneSubset, Measured, Modalities, Observer, Result,
};

use super::{
    BaselineOptions, check_values,
    harmony::harmony,
    integration::{SpaceBaseline, SpaceMethod},
    lsi::lsi,
    variable_expression::VariableExpression,
    weighted_neighbours::{ModalitySpace, weighted_neighbours},
};
use crate::cell_space::CellSpace;

/// One cell in so many may lack a modality for this alone to be shown: of more, it says nothing of them.
const MOST_LACKING: usize = 20;

/// Where simple methods put cells of several modalities, each of them by all of the features that `source` has
/// of it, in this order:
///
/// - "Unintegrated": the spaces below side by side, each scaled to the same variance; what is not measured is at
///   the mean;
/// - "LSI of ATAC": [`lsi`] of the peaks; "PCA of RNA", and of whatever else there is: principal components of
///   the most variable features as of [`hvg_pca`](super::hvg_pca), but each scaled to the same variance. A
///   modality that more than a twentieth of the cells lack is not shown alone;
/// - "WNN": [`weighted_neighbours`] by these spaces, a graph;
/// - "Harmony of both", or "of all": the unintegrated cells, corrected by [`harmony`]. Of one batch there is
///   nothing to correct.
///
/// `modalities` are those of the columns of the matrix, `measured` those that each cell was measured in, and
/// `batches` numbers `0..`, one a cell. The source is read about a dozen times; memory holds one block of it,
/// what each modality needs in turn (`n_genes²` numbers, see [`lsi`] for peaks), and the results.
///
/// # Errors
/// If the source cannot be read, or has no or negative values; if there are no cells, not one batch a cell, or a cell
/// was measured in no modality; [`Error::Cancelled`] if the observer says so.
///
/// # Panics
/// If these are not the modalities of the source.
///
/// # Reference
/// The steps of Seurat, Signac and muon for cells measured in several ways: `sc.pp.normalize_total`, `log1p`,
/// `highly_variable_genes`, `scale(max_value=10)` and `tl.pca`; TF-IDF and LSI; WNN; `harmonypy`. Differs:
/// proteins are normalised as genes are, not by centred log ratios.
pub fn multiomic_baselines(
    source: &mut dyn CellSource,
    modalities: &Modalities,
    measured: &[Measured],
    batches: &[usize],
    options: &BaselineOptions,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<SpaceBaseline>> {
    let n = source.summary().n_cells;
    assert_eq!(measured.len(), n, "one entry a cell");
    if batches.len() != n {
        return Err(Error::Option(format!(
            "{} batches for {n} cells, expected one a cell",
            batches.len()
        )));
    }
    check_values(source, &options.layer)?;
    let names = modalities.names();
    let spaces: Result<Vec<Space>> = (0..names.len())
        .map(|number| Space::of(source, modalities, measured, number, options, observer))
        .collect();
    let spaces = spaces?;
    observer.begin("joining modalities", 0);
    let parts: Vec<ModalitySpace<'_>> = spaces.iter().map(Space::part).collect();
    let joined = weighted_neighbours(&parts, observer)?;
    let (rows, width) = side_by_side(&parts, n);
    let mut baselines = vec![SpaceBaseline::of_rows(
        SpaceMethod::Unintegrated,
        "Unintegrated",
        rows.clone(),
        width,
    )];
    let shown = spaces.iter().filter(|space| space.n_lacking() * MOST_LACKING <= n);
    baselines.extend(shown.map(Space::baseline));
    let mean = |number: usize| {
        let weights = joined.weights.iter().skip(number).step_by(names.len());
        format!("{:.2} of {}", weights.sum::<f64>() / n as f64, names[number])
    };
    let weights: Vec<String> = (0..names.len()).map(mean).collect();
    baselines.push(SpaceBaseline {
        name: "WNN".into(),
        method: SpaceMethod::Neighbours,
        space: CellSpace::Graph(Cow::Owned(joined.graph)),
        note: Some(format!("mean weights of the cells: {}", weights.join(", "))),
        projection: None,
    });
    if batches.iter().any(|&batch| batch != batches[0]) {
        observer.begin("integrating with Harmony", 0);
        let name = if names.len() == 2 { "Harmony of both" } else { "Harmony of all" };
        let rows = harmony(&rows, width, batches, seed, observer)?;
        baselines.push(SpaceBaseline::of_rows(SpaceMethod::Harmony, name, rows, width));
    }
    Ok(baselines)
}

/// Where the cells lie by one modality.
struct Space {
    /// The method and the modality.
    name: String,
    method: SpaceMethod,
    note: Option<String>,
    /// `[n, width]`, zeros for cells that were not measured.
    rows: Vec<f32>,
    width: usize,
    is_measured: Vec<bool>,
}

impl Space {
    /// By the features of a modality, over the cells that were measured in it.
    fn of(
        source: &mut dyn CellSource,
        modalities: &Modalities,
        measured: &[Measured],
        number: usize,
        options: &BaselineOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let modality = &modalities.names()[number];
        let is_measured: Vec<bool> = measured.iter().map(|of| of.contains(number)).collect();
        let cells: Vec<usize> = (0..is_measured.len()).filter(|&cell| is_measured[cell]).collect();
        let columns = modalities.features(number).collect();
        let mut features = GeneSubset::new(source, &options.layer, columns)?;
        let mut of_modality = CellSubset::new(&mut features, cells.clone());
        let (method, name, found, width, note) = if modality == ATAC {
            let found = lsi(&mut of_modality, &options.layer, options.n_components, observer)?;
            let note = found.left_out();
            (SpaceMethod::Lsi, "LSI", found.rows, found.n_components, note)
        } else {
            let found = VariableExpression::choose(&mut of_modality, options, None, observer)?
                .scaled(&mut of_modality, observer)?
                .principal(&mut of_modality, options.n_components, observer)?;
            (SpaceMethod::Pca, "PCA", found.rows, found.n_components, None)
        };
        let mut rows = vec![0.0; is_measured.len() * width];
        for (&cell, row) in cells.iter().zip(found.chunks(width.max(1))) {
            rows[cell * width..(cell + 1) * width].copy_from_slice(row);
        }
        let name = format!("{name} of {modality}");
        Ok(Self { name, method, note, rows, width, is_measured })
    }

    fn part(&self) -> ModalitySpace<'_> {
        ModalitySpace { rows: &self.rows, width: self.width, is_measured: &self.is_measured }
    }

    /// Cells that were not measured.
    fn n_lacking(&self) -> usize {
        self.is_measured.iter().filter(|is_measured| !**is_measured).count()
    }

    fn baseline(&self) -> SpaceBaseline {
        let rows = self.rows.clone();
        let of = SpaceBaseline::of_rows(self.method, &self.name, rows, self.width);
        SpaceBaseline { note: self.note.clone(), ..of }
    }
}

/// The spaces of all modalities side by side, `[n, width]`, and the width: each about the mean of the cells
/// measured in it, and scaled so that their variances over all of its coordinates sum up to 1.
fn side_by_side(parts: &[ModalitySpace<'_>], n: usize) -> (Vec<f32>, usize) {
    let all: usize = parts.iter().map(|part| part.width).sum();
    let mut rows = vec![0.0; n * all];
    let mut first = 0;
    for part in parts {
        let width = part.width;
        let measured: Vec<(usize, &[f32])> = (0..n)
            .filter(|&cell| part.is_measured[cell])
            .map(|cell| (cell, &part.rows[cell * width..(cell + 1) * width]))
            .collect();
        let mut mean = vec![0.0; width];
        for (_, row) in &measured {
            let n = measured.len() as f64;
            mean.iter_mut().zip(*row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
        }
        let apart = |(_, row): &(usize, &[f32])| -> f64 {
            row.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum()
        };
        let variance = measured.iter().map(apart).sum::<f64>() / measured.len().max(1) as f64;
        let scale = if variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
        for (cell, row) in measured {
            let place = &mut rows[cell * all + first..][..width];
            for ((out, &x), mean) in place.iter_mut().zip(row).zip(&mean) {
                #[allow(clippy::cast_possible_truncation, reason = "as narrow as the rows")]
                let scaled = ((f64::from(x) - mean) * scale) as f32;
                *out = scaled;
            }
        }
        first += width;
    }
    (rows, all)
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;
    use scgpt_stats::ClusterOptions;

    use super::*;
    use crate::{
        IntegrationScores,
        simulate::{MultimodalSimulateOptions, MultimodalSimulation, SimulateOptions},
    };

    /// What simple methods make of 300 simulated cells, with their types and batches.
    fn baselines(mosaic: bool) -> (Vec<SpaceBaseline>, [Vec<usize>; 2]) {
        let cells = SimulateOptions { cells: 300, genes: 200, types: 3, batches: 2, seed: 1 };
        let mut options = MultimodalSimulateOptions::new(cells);
        (options.peaks, options.mosaic) = (600, mosaic);
        let mut source = MultimodalSimulation::new(&options, None).unwrap().cells().unwrap();
        let modalities = source.modalities().clone();
        let measured = source.measured(&scgpt_data::Layer::X).unwrap();
        let obs = source.obs().unwrap();
        let codes = |name: &str| -> Vec<usize> {
            let labels = crate::Labels::read(&obs, name).unwrap();
            labels.codes.iter().flatten().map(|&code| code as usize).collect()
        };
        let [types, batches] = ["cell_type", "batch"].map(codes);
        let options = BaselineOptions { n_components: 10, ..Default::default() };
        let of = |batches: &[usize], source: &mut dyn CellSource| {
            multiomic_baselines(source, &modalities, &measured, batches, &options, 0, &Silent)
        };
        let found = of(&batches, &mut source).unwrap();
        let alone = of(&[0; 300], &mut source).unwrap();
        assert!(alone.len() + 1 == found.len(), "one batch has nothing to correct");
        assert!(of(&batches[1..], &mut source).unwrap_err().to_string().contains("299 batches"));
        (found, [types, batches])
    }

    fn names(baselines: &[SpaceBaseline]) -> Vec<&str> {
        baselines.iter().map(|baseline| baseline.name.as_str()).collect()
    }

    #[test]
    fn methods_are_named_and_tell_types() {
        let (found, [types, batches]) = baselines(false);
        let expected = ["Unintegrated", "LSI of ATAC", "PCA of RNA", "WNN", "Harmony of both"];
        assert_eq!(names(&found), expected);
        for baseline in found.iter().filter(|baseline| baseline.name != "LSI of ATAC") {
            let options = ClusterOptions::default();
            let scores =
                IntegrationScores::new(&baseline.space, Some(&types), &batches, &options, &Silent)
                    .unwrap();
            assert!(scores.nmi > Some(0.9), "{}: {scores:?}", baseline.name);
        }
        assert!(found[3].note.as_ref().unwrap().contains("of ATAC"));
    }

    #[test]
    fn a_modality_that_many_cells_lack_is_not_shown_alone() {
        let (found, _) = baselines(true);
        assert!(names(&found).starts_with(&["Unintegrated"]));
        assert!(!names(&found).contains(&"LSI of ATAC") || !names(&found).contains(&"PCA of RNA"));
    }

    #[test]
    fn neither_modality_drowns_the_other() {
        let rows = [vec![0.0, 2.0, 0.0, 2.0_f32], vec![500.0, 0.0, 0.0, 700.0, 0.0, 0.0_f32]];
        let measured = [[true; 4], [true, false, true, true]];
        // The second modality has no values of the second cell.
        let second = [rows[1][0], 9.0, rows[1][1], rows[1][3]];
        let parts = [
            ModalitySpace { rows: &rows[0], width: 1, is_measured: &measured[0] },
            ModalitySpace { rows: &second, width: 1, is_measured: &measured[1] },
        ];
        let (joined, width) = side_by_side(&parts, 4);
        assert_eq!(width, 2);
        let column = |i: usize| joined.iter().skip(i).step_by(2).copied();
        assert!(column(0).zip([-1.0, 1.0, -1.0, 1.0]).all(|(x, y)| (x - y).abs() < 1e-6));
        assert!(joined[3].abs() < 1e-12 && column(1).sum::<f32>().abs() < 1e-5);
        let variance = column(1).map(|x| x * x).sum::<f32>() / 3.0;
        assert!((variance - 1.0).abs() < 1e-5, "{variance}");
    }
}
