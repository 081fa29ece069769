//! Measures of any embedding of labelled cells.

use std::{collections::BTreeMap, fs, path::Path};

use scgpt_data::{Observer, RowSpool};
use scgpt_eval::{Labels, study::Measure};
use scgpt_stats::{ClusterOptions, cluster_scores};

use super::record::INDEX;
use crate::{
    error::Result,
    map::{MadeBy, MapOptions, ReferenceCells, ReferenceIndex, Search},
};

/// Most cells that are clustered, each of which is compared with all.
const CLUSTERED: usize = 20_000;

/// Rows of unit length, `[n, d]`, with their labels.
pub(super) struct LabelledRows<'a> {
    pub(super) rows: &'a [f32],
    pub(super) d: usize,
    pub(super) labels: &'a Labels,
    pub(super) is_reference: &'a [bool],
}

/// What an embedding reaches, of the `measures` that are of embeddings. Cells without a label are left out.
pub(super) fn of_embedding(
    of: &LabelledRows<'_>,
    measures: &[Measure],
    scratch: &Path,
    observer: &dyn Observer,
) -> Result<BTreeMap<Measure, f64>> {
    let LabelledRows { rows, d, labels, is_reference } = of;
    let cells =
        || labels.codes.iter().enumerate().filter_map(|(cell, code)| Some((cell, (*code)?)));
    let row = |cell: usize| &rows[cell * d..(cell + 1) * d];
    let mut scores = BTreeMap::new();
    observer.check_cancelled()?;
    if measures.iter().any(|measure| matches!(measure, Measure::Nmi | Measure::Ari)) {
        let labelled: Vec<f32> = cells().flat_map(|(cell, _)| row(cell).iter().copied()).collect();
        let codes: Vec<usize> = cells().map(|(_, code)| code as usize).collect();
        let mut options = ClusterOptions::default();
        options.max_cells = CLUSTERED;
        let found = cluster_scores(&labelled, *d, &codes, &options, observer)?;
        let both = [(Measure::Nmi, found.nmi), (Measure::Ari, found.ari)];
        scores.extend(both.into_iter().filter(|(measure, _)| measures.contains(measure)));
    }
    if measures.contains(&Measure::Mapping) {
        let part = |of_reference: bool| -> Vec<usize> {
            let cells = cells().map(|(cell, _)| cell);
            cells.filter(|&cell| is_reference[cell] == of_reference).collect()
        };
        let (reference, query) = (part(true), part(false));
        let spool = |cells: &[usize]| -> Result<RowSpool> {
            let mut spool = RowSpool::new_in(Some(scratch), *d)?;
            cells.iter().try_for_each(|&cell| spool.push(row(cell)))?;
            Ok(spool)
        };
        let column = reference.iter().map(|&cell| labels.name(cell).map(String::from)).collect();
        let of_reference = ReferenceCells {
            rows: &spool(&reference)?,
            labels: &[("label".into(), Labels::new(column))],
            colours: Vec::new(),
            source: "the reference of a target".into(),
            made_by: MadeBy::Obsm("embedding".into()),
            genes: None,
        };
        let folder = scratch.join(INDEX);
        // Of a process that was killed.
        drop(fs::remove_dir_all(&folder));
        let index = ReferenceIndex::create(&folder, &of_reference, Search::Exact, observer)?;
        let mapped = index.map(&spool(&query)?, &MapOptions::default(), observer)?;
        drop(index);
        drop(fs::remove_dir_all(&folder));
        let found = &mapped.labels[0];
        let is_right = |&(place, &cell): &(usize, &usize)| {
            let said = found.codes[place].map(|code| found.names[code as usize].as_str());
            said == labels.name(cell)
        };
        let right = query.iter().enumerate().filter(is_right).count();
        scores.insert(Measure::Mapping, right as f64 / query.len().max(1) as f64);
    }
    Ok(scores)
}
