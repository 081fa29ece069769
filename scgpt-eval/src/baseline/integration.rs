//! [`integration_baselines`]: what integration has to beat.

use scgpt_data::{CellSource, Error, Observer, Result};
use scgpt_stats::{Principal, Products, Subspace};

use super::{
    BaselineOptions, check_values,
    combat::{BatchMoments, Combat},
    harmony::harmony,
    projection::GeneProjection,
    variable_expression::VariableExpression,
};
use crate::cell_space::CellSpace;

/// Passes over the cells that find principal components of all genes.
const PASSES: usize = 5;

/// A simple method that puts cells somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpaceMethod {
    /// Principal components of all genes, or those of all modalities side by side.
    Unintegrated,
    /// Principal components of variable genes, or of one of several modalities.
    Pca,
    /// Latent semantic indexing of open chromatin.
    Lsi,
    /// Weighted nearest neighbours, a graph.
    Neighbours,
    /// Principal components, corrected by soft clusters.
    Harmony,
    /// Genes with the same mean and variance in all batches.
    Combat,
}

/// A simple method, and where it puts the cells.
#[derive(Clone, Debug)]
pub struct SpaceBaseline {
    /// What it is called in reports.
    pub name: String,
    /// Which method it is.
    pub method: SpaceMethod,
    /// Where the method puts the cells.
    pub space: CellSpace<'static>,
    /// What a reader should know of how it came to that with these cells.
    pub note: Option<String>,
    /// Where the method puts further cells, if it can.
    pub projection: Option<GeneProjection>,
}

impl SpaceBaseline {
    /// A method that gives every cell `width` coordinates.
    pub(crate) fn of_rows(method: SpaceMethod, name: &str, rows: Vec<f32>, width: usize) -> Self {
        let space = CellSpace::rows(rows, width);
        Self { name: name.into(), method, space, note: None, projection: None }
    }
}

/// Where four simple methods put the cells of `source`, which are normalised to 10 000 and logged
/// unless they are already. In this order:
///
/// - "Unintegrated": principal components of all genes;
/// - "HVG + PCA": of the genes that vary most within batches;
/// - "Harmony": these, corrected by [`harmony`];
/// - "ComBat": of the same genes, mean and variance made alike in all batches.
///
/// `batches` are numbers `0..`, one a cell. The source is read about twelve times; memory holds one
/// block, `n_genes²` numbers and the results.
///
/// # Errors
/// If the source cannot be read, has no cells, no or negative values; if there is not one batch a cell;
/// [`Error::Cancelled`] if the observer says so.
///
/// # Reference
/// Luecken et al. 2022; `scanpy.pp.pca`, `harmonypy`, `scanpy.pp.combat`. Differs: components of all
/// genes are found by randomised subspace iteration; components after ComBat are computed from the
/// sparse values.
pub fn integration_baselines(
    source: &mut dyn CellSource,
    batches: &[usize],
    options: &BaselineOptions,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<SpaceBaseline>> {
    let n = source.summary().n_cells;
    if batches.len() != n || options.n_components == 0 {
        return Err(Error::Option(format!(
            "{} batches and {} components for {n} cells, expected {n} and at least 1",
            batches.len(),
            options.n_components
        )));
    }
    check_values(source, &options.layer)?;
    let all = VariableExpression::all(source, &options.layer)?;
    let unintegrated = principal_of_all(&all, source, options.n_components, observer)?;
    let mut rows = Vec::with_capacity(n * unintegrated.n());
    all.each(source, "projecting cells on all genes", observer, &mut |cells| {
        for (genes, values) in &cells {
            rows.extend(unintegrated.project(genes, values));
        }
    })?;
    let mut baselines = vec![SpaceBaseline::of_rows(
        SpaceMethod::Unintegrated,
        "Unintegrated",
        rows,
        unintegrated.n(),
    )];

    let expression = VariableExpression::choose(source, options, Some(batches), observer)?;
    let [variable, combat] = of_variable(&expression, source, batches, options, observer)?;
    let CellSpace::Rows { rows, width } = &variable.space else { return Ok(baselines) };
    observer.begin("integrating with Harmony", 0);
    let rows = harmony(rows, *width, batches, seed, observer)?;
    let harmony = SpaceBaseline::of_rows(SpaceMethod::Harmony, "Harmony", rows, *width);
    baselines.extend([variable, harmony, combat]);
    Ok(baselines)
}

/// Principal components of all genes. These are too many for sums of the products of every two.
fn principal_of_all(
    all: &VariableExpression,
    source: &mut dyn CellSource,
    n_components: usize,
    observer: &dyn Observer,
) -> Result<Principal> {
    let mut subspace = Subspace::new(all.genes().len(), n_components, observer)?;
    for pass in 0..PASSES {
        if pass > 0 {
            subspace.turn(observer)?;
        }
        let stage = format!("finding components of all genes, {} of {PASSES}", pass + 1);
        all.each(source, &stage, observer, &mut |cells| subspace.add(&cells))?;
    }
    subspace.principal(n_components, observer)
}

/// Principal components of variable genes, as they are and after ComBat.
fn of_variable(
    expression: &VariableExpression,
    source: &mut dyn CellSource,
    batches: &[usize],
    options: &BaselineOptions,
    observer: &dyn Observer,
) -> Result<[SpaceBaseline; 2]> {
    let n_genes = expression.genes().len();
    let n_batches = batches.iter().max().map_or(0, |last| last + 1);
    let mut products = Products::new(n_genes);
    let mut moments = BatchMoments::new(n_batches, n_genes);
    let mut batch_of = batches.iter();
    expression.each(source, "finding principal components", observer, &mut |cells| {
        for ((genes, values), &batch) in cells.iter().zip(&mut batch_of) {
            moments.add(batch, genes, values);
        }
        products.add(&cells);
    })?;
    let principal = products.principal(options.n_components, observer)?;
    let (combat, means) = (Combat::new(&moments), moments.means());

    let mut products = Products::new(n_genes);
    let mut batch_of = batches.iter();
    expression.each(source, "adjusting batches with ComBat", observer, &mut |mut cells| {
        for ((genes, values), &batch) in cells.iter_mut().zip(&mut batch_of) {
            combat.scale(batch, genes, values);
        }
        products.add(&cells);
    })?;
    for batch in 0..n_batches {
        let sums = combat.scaled_sums(&moments, batch);
        products.shift(moments.n_cells(batch), &sums, combat.shifts(batch));
    }
    let adjusted = products.principal(options.n_components, observer)?;
    let begins: Vec<Vec<f64>> =
        (0..n_batches).map(|batch| adjusted.shifted(combat.shifts(batch))).collect();

    let (mut plain, mut mixed) = (Vec::new(), Vec::new());
    let mut batch_of = batches.iter();
    expression.each(source, "projecting cells", observer, &mut |mut cells| {
        for ((genes, values), &batch) in cells.iter_mut().zip(&mut batch_of) {
            plain.extend(principal.project(genes, values));
            combat.scale(batch, genes, values);
            mixed.extend(adjusted.project_from(begins[batch].clone(), genes, values));
        }
    })?;
    let combat = SpaceBaseline::of_rows(SpaceMethod::Combat, "ComBat", mixed, adjusted.n());
    let pca = SpaceBaseline::of_rows(SpaceMethod::Pca, "HVG + PCA", plain, principal.n());
    let projection = GeneProjection::new(expression.genes().to_vec(), means, principal);
    Ok([SpaceBaseline { projection: Some(projection), ..pca }, combat])
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Csr, MemoryCells, Silent};
    use scgpt_stats::ClusterOptions;

    use super::*;
    use crate::{
        IntegrationScores,
        simulate::{SimulateOptions, Simulation},
    };

    #[test]
    fn baselines_mix_batches_and_keep_types() {
        let simulated = SimulateOptions { cells: 600, genes: 400, types: 4, batches: 3, seed: 1 };
        let mut source = Simulation::new(&simulated, None).unwrap();
        let (labels, batches): (Vec<usize>, Vec<usize>) =
            (0..600).map(|cell| source.truth(cell)).unzip();
        let options = BaselineOptions { n_genes: 150, n_components: 15, ..Default::default() };
        let baselines = integration_baselines(&mut source, &batches, &options, 0, &Silent).unwrap();
        let names: Vec<&str> = baselines.iter().map(|baseline| baseline.name.as_str()).collect();
        assert_eq!(names, ["Unintegrated", "HVG + PCA", "Harmony", "ComBat"]);
        let scores: Vec<IntegrationScores> = baselines
            .iter()
            .map(|baseline| {
                let options = ClusterOptions::default();
                IntegrationScores::new(&baseline.space, Some(&labels), &batches, &options, &Silent)
                    .unwrap()
            })
            .collect();
        for integrated in &scores[2..] {
            assert!(integrated.batch_variance < scores[1].batch_variance, "{scores:?}");
            assert!(integrated.nmi > Some(0.9), "{integrated:?}");
        }
        let nothing = Csr::new(400, vec![0; 601], Vec::new(), Vec::new()).unwrap();
        let (obs, var) = (source.obs().unwrap(), source.var(&options.layer).unwrap());
        let mut nothing = MemoryCells::of(nothing, obs, var).unwrap();
        let refused = integration_baselines(&mut nothing, &batches, &options, 0, &Silent);
        assert!(refused.unwrap_err().to_string().contains("no cell"));
        let few = integration_baselines(&mut source, &batches[1..], &options, 0, &Silent);
        assert!(few.unwrap_err().to_string().contains("599 batches"));
    }
}
