//! [`Groups`] and [`GenePanel`]: which cells are looked at, and which of their genes.
//!
//! Both are chosen before the network sees a cell. Of a large group a sample is taken, keyed by the
//! names of the cells, so that the order of the file does not matter.

use scgpt_data::{
    Advice, Alignment, CellSource, CellTokens, Frame, GeneToken, GeneVocab, Keyed, Purpose,
    Setting, absent_gene, similar_names, some_of,
};
use scgpt_eval::Labels;
use scgpt_stats::sampled;

use super::AttentionOptions;
use crate::{
    embed::{VariableOptions, select_variable},
    error::{Error, Result},
};

/// Two groups of cells, or one and its copies with shuffled values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Groups {
    /// Names of the groups: the first is compared with the second.
    pub(super) names: [String; 2],
    /// Numbers of the cells of each group, ascending; empty for a second group that is made of
    /// copies of the first.
    pub(super) cells: [Vec<usize>; 2],
    /// Number of cells that each group would have without the maximum.
    pub(super) available: [usize; 2],
}

impl Groups {
    /// Whether the second group is made of copies of the first, in which values are shuffled among
    /// genes.
    pub(super) fn is_single(&self) -> bool {
        self.cells[1].is_empty()
    }

    /// Chooses the groups by a column of `obs`, or takes all cells as one group without a column.
    ///
    /// The first group is the one that is named, or else the one in which the only gene asked for
    /// is perturbed alone, or else all labelled cells except the controls.
    ///
    /// # Errors
    /// If the column is absent, no cell has a named condition (similar names are suggested),
    /// nothing is left to compare with, or a group has fewer than two cells.
    pub(super) fn choose(obs: &Frame, options: &AttentionOptions<'_>) -> Result<Self> {
        let Some(key) = options.condition_key else {
            let all = (0..obs.len()).collect();
            return Self::of(["cells", "shuffled values"], [all, Vec::new()], obs, options);
        };
        let labels = Labels::read(obs, key)?;
        let having = |name: &str| -> Result<Vec<usize>> {
            let cells: Vec<usize> =
                (0..obs.len()).filter(|&cell| labels.name(cell) == Some(name)).collect();
            if cells.is_empty() {
                let similar = similar_names(name, labels.classes.iter().map(String::as_str)).hint();
                return Err(Error::option(format!(
                    "no cell has `{name}` in column `{key}` of `obs`, which has {}{similar}",
                    some_of(&labels.classes)
                )));
            }
            Ok(cells)
        };
        match (options.control, options.group) {
            (None, None) => {
                let problem = Advice::from(format!("is {key}, which needs "))
                    + Setting("control")
                    + " for a comparison, or "
                    + Setting("group")
                    + " for a single network";
                Err(Setting("condition").wrong(problem).into())
            }
            (None, Some(group)) => {
                Self::of([group, "shuffled values"], [having(group)?, Vec::new()], obs, options)
            }
            (Some(control), Some(group)) if control == group => {
                Err(Error::option(format!("`{group}` cannot be compared with itself")))
            }
            (Some(control), Some(group)) => {
                Self::of([group, control], [having(group)?, having(control)?], obs, options)
            }
            (Some(control), None) => {
                let controls = having(control)?;
                if let Some(group) = condition_of(&labels, options.genes, control) {
                    return Self::of([&group, control], [having(&group)?, controls], obs, options);
                }
                let others: Vec<usize> = (0..obs.len())
                    .filter(|&cell| labels.name(cell).is_some_and(|name| name != control))
                    .collect();
                if others.is_empty() {
                    return Err(Error::option(format!(
                        "all cells have `{control}` in column `{key}` of `obs`: there is nothing to compare with"
                    )));
                }
                let mut classes = labels.classes.clone();
                classes.retain(|name| name != control);
                let name = if classes.len() == 1 {
                    classes.swap_remove(0)
                } else {
                    format!("not {control}")
                };
                Self::of([&name, control], [others, controls], obs, options)
            }
        }
    }

    /// Samples the groups down to `max_cells` each, and checks that a network can be made of them.
    fn of(
        names: [&str; 2],
        cells: [Vec<usize>; 2],
        obs: &Frame,
        options: &AttentionOptions<'_>,
    ) -> Result<Self> {
        let available = [cells[0].len(), cells[1].len()];
        let numbers = obs.cell_keys();
        let cells = cells.map(|cells| sampled(cells, &numbers, options.max_cells, options.seed));
        if cells[0].len() < 2 || cells[1].len() == 1 {
            return Err(Error::option(format!(
                "a network needs at least two cells, but `{}` has {}",
                names[usize::from(cells[0].len() >= 2)],
                available[usize::from(cells[0].len() >= 2)]
            )));
        }
        Ok(Self { names: names.map(str::to_owned), cells, available })
    }
}

/// The condition in which the only gene asked for is perturbed alone, if there is one: `GENE`,
/// `GENE+ctrl`, `ctrl+GENE`, also joined by `_`.
fn condition_of(labels: &Labels, genes: &[String], control: &str) -> Option<String> {
    let [gene] = genes else { return None };
    let is_alone = |name: &&String| {
        let mut parts: Vec<&str> = name.split(['+', '_']).collect();
        parts.retain(|part| *part != control && *part != "ctrl");
        parts == [gene.as_str()] || *name == gene
    };
    labels.classes.iter().find(is_alone).cloned()
}

/// The genes that are looked at in all cells, whether expressed or not.
#[derive(Clone, Debug)]
pub(super) struct GenePanel {
    /// Their names in the vocabulary of the model.
    pub(super) names: Vec<String>,
    pub(super) tokens: Vec<GeneToken>,
    /// The column of each in the data, ascending.
    pub(super) columns: Vec<usize>,
    /// The place of each among the tokens of a cell that has one for every known gene.
    places: Vec<usize>,
}

impl GenePanel {
    /// The most variable genes of `source` that the model knows, and the genes asked for.
    ///
    /// # Errors
    /// If a gene asked for is not measured, or not known to the model.
    pub(super) fn choose(
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
        alignment: &Alignment,
        options: &AttentionOptions<'_>,
    ) -> Result<Self> {
        let known: Vec<(usize, GeneToken)> = alignment
            .tokens
            .iter()
            .enumerate()
            .filter_map(|(column, token)| Some((column, (*token)?)))
            .collect();
        let name = |token: GeneToken| vocab.own_name(token);
        let mut is_chosen = vec![true; alignment.tokens.len()];
        if known.len() > options.n_variable {
            let variable = VariableOptions::new(options.n_variable);
            let mut variable_genes = alignment.clone();
            let names = options.gene_names;
            select_variable(source, options.matrix, &variable, names, &mut variable_genes)?;
            is_chosen = variable_genes.tokens.iter().map(Option::is_some).collect();
        }
        for gene in options.genes {
            let Some((column, _)) = known.iter().find(|(_, token)| name(*token) == gene) else {
                let measured = known.iter().filter_map(|(_, token)| vocab.name(*token));
                return Err(absent_gene(gene, vocab, measured).into());
            };
            is_chosen[*column] = true;
        }
        let chosen = known.iter().enumerate().filter(|(_, (column, _))| is_chosen[*column]);
        let mut panel =
            Self { names: Vec::new(), tokens: Vec::new(), columns: Vec::new(), places: Vec::new() };
        for (place, &(column, token)) in chosen {
            panel.names.push(name(token).to_owned());
            panel.tokens.push(token);
            panel.columns.push(column);
            // `<cls>` is before them.
            panel.places.push(1 + place);
        }
        if panel.names.len() < 3 {
            let problem = format!("{} genes are too few for a network", panel.names.len());
            return Err(Error::unsuited(problem, Advice::from("choose more by ") + Setting("hvg")));
        }
        Ok(panel)
    }

    /// How many genes there are, without `<cls>`.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The values of `<cls>` and of the panel in a cell that has a token for every known gene.
    ///
    /// # Panics
    /// If the cell was tokenised without its zeros, or by another alignment.
    pub(super) fn values(&self, cell: &CellTokens) -> Vec<f32> {
        let genes = self.places.iter().map(|&place| cell.values[place]);
        cell.values.first().copied().into_iter().chain(genes).collect()
    }
}

/// The values shuffled among the genes; `<cls>` in front stays. `cell`, the
/// [content](CellTokens::content) of the cell, decides how, so equal cells are shuffled alike
/// wherever they stand.
pub(super) fn shuffled(values: &[f32], seed: u64, cell: u64) -> Vec<f32> {
    let key = Keyed::new(seed, Purpose::Permute, 1, cell);
    let mut order: Vec<usize> = (1..values.len()).collect();
    order.sort_by_key(|&place| key.bits(place as u64));
    std::iter::once(0).chain(order).map(|place| values[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::Column;

    fn obs(labels: &[&str]) -> Frame {
        let text = labels.iter().map(|&label| Some(label.to_owned())).collect();
        Frame {
            index_name: "_index".into(),
            index: (0..labels.len()).map(|cell| cell.to_string()).collect(),
            columns: vec![("condition".into(), Column::Text(text))],
        }
    }

    const LABELS: [&str; 8] =
        ["ctrl", "A+ctrl", "ctrl", "B+A", "A+ctrl", "ctrl", "B+ctrl", "B+ctrl"];

    fn choose(options: AttentionOptions<'_>) -> Result<Groups> {
        Groups::choose(&obs(&LABELS), &options)
    }

    #[test]
    fn groups_are_those_asked_for() {
        let genes = ["A".to_owned()];
        let base = AttentionOptions {
            condition_key: Some("condition"),
            control: Some("ctrl"),
            ..AttentionOptions::default()
        };
        let groups = choose(base).unwrap();
        assert_eq!(groups.names, ["not ctrl", "ctrl"]);
        assert_eq!(groups.cells, [vec![1, 3, 4, 6, 7], vec![0, 2, 5]]);
        let groups = choose(AttentionOptions { genes: &genes, ..base }).unwrap();
        assert_eq!((groups.names[0].as_str(), &*groups.cells[0]), ("A+ctrl", &[1, 4][..]));
        let groups = choose(AttentionOptions { group: Some("B+ctrl"), max_cells: 2, ..base });
        let groups = groups.unwrap();
        assert_eq!((groups.cells[1].len(), groups.available), (2, [2, 3]));
        let single = AttentionOptions { control: None, group: Some("ctrl"), ..base };
        assert!(choose(single).unwrap().is_single());
        let all = choose(AttentionOptions::default()).unwrap();
        assert_eq!(all.cells[0].len(), 8);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let base = AttentionOptions {
            condition_key: Some("condition"),
            control: Some("ctrl"),
            ..AttentionOptions::default()
        };
        let refused = |options| choose(options).unwrap_err().to_string();
        let message = refused(AttentionOptions { control: Some("CTRL"), ..base });
        assert!(message.contains("`B+A`") && message.contains("similar names: ctrl"), "{message}");
        assert!(refused(AttentionOptions { group: Some("B+A"), ..base }).contains("two cells"));
        assert!(refused(AttentionOptions { group: Some("ctrl"), ..base }).contains("itself"));
        assert!(refused(AttentionOptions { control: None, ..base }).contains("`control`"));
    }

    #[test]
    fn shuffling_moves_values_of_genes_alone() {
        let values: Vec<f32> = (0..50_u8).map(f32::from).collect();
        let mut shuffled = shuffled(&values, 3, 7);
        assert!(shuffled[0] == 0.0);
        assert_ne!(shuffled, values);
        shuffled.sort_by(f32::total_cmp);
        assert_eq!(shuffled, values);
    }
}
