//! [`CellColours`]: what the cells of a map are called, and by what they can be coloured.

use std::collections::{BTreeMap, BTreeSet};

use scgpt_data::{
    CellSource, Column, Error, Frame, GeneNames, Layer, Result, gene_columns, is_url, similar_names,
};
use scgpt_report::{Category, ColourValues, Colouring, category_colours};
use serde_json::Value;

use crate::{labels::likely_colour, map_genes::MapGenes};

/// Most categories of a column that colours can still tell apart, with names beside them.
const CATEGORIES: usize = 60;
/// Most columns of a map: each is a part of the page.
const COLUMNS: usize = 24;

/// Names of cells and the columns that can colour them, one entry a cell of a map.
///
/// ```
/// use scgpt_eval::CellColours;
/// use scgpt_report::Colouring;
///
/// let types = Colouring::labels("cell type", ["B", "T"].map(Some));
/// let colours = CellColours::new(vec!["AAC".into(), "AAG".into()], vec![types]);
/// assert_eq!((colours.names.len(), colours.columns.len()), (2, 1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CellColours {
    /// What each cell is called; none or one a cell.
    pub names: Vec<String>,
    /// The columns.
    pub columns: Vec<Colouring>,
    /// The column, by its position, that a map begins with.
    pub first: usize,
    /// For each label of the column that a map begins with, or of the first column that is added, the
    /// names of a few genes that its cells express more than all others; empty if none were looked for.
    pub markers: Vec<(String, Vec<String>)>,
    /// What a caption says of columns that are there or not.
    notes: Vec<String>,
}

/// By what the cells of a map are coloured, beside the columns of their file.
#[derive(Clone, Copy, Debug)]
pub struct ColourChoice<'a> {
    /// Columns that a command adds to those of the file, whole; they come first.
    pub added: &'a [(String, Column)],
    /// Colours, as `#rrggbb`, that labels of these columns have elsewhere, such as where a model learned them: they
    /// come before those of the file.
    pub known: &'a [(String, String)],
    /// What was asked for by name, columns of `obs` or genes: the first of them colours the map.
    pub wanted: &'a [String],
    /// The matrix that genes are read from.
    pub layer: &'a Layer,
    /// Where the names of genes are.
    pub gene_names: &'a GeneNames,
}

impl ColourChoice<'_> {
    /// Checks that everything that is asked for is there, before anything is computed.
    ///
    /// # Errors
    /// If a name is neither of a column of `obs`, nor of one that is added, nor of a gene.
    pub fn check(&self, source: &dyn CellSource, added: &[&str]) -> Result<()> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let obs = source.obs()?;
        let of_columns =
            |name: &&String| obs.column(name).is_some() || added.contains(&name.as_str());
        let rest: Vec<&String> = self.wanted.iter().filter(|name| !of_columns(name)).collect();
        if rest.is_empty() {
            return Ok(());
        }
        let var = source.var(self.layer)?;
        let known: BTreeSet<String> =
            names_of_genes(&var).into_iter().flatten().flatten().collect();
        match rest.into_iter().find(|name| !known.contains(name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let genes = known.iter().map(String::as_str);
                let columns: Vec<&str> = obs.names().chain(added.iter().copied()).collect();
                let names = columns.iter().copied().chain(genes);
                let similar = similar_names(name, names).hint();
                Err(Error::Option(format!(
                    "`{name}` is neither a column of `obs` ({}) nor a gene{similar}",
                    columns.join(", ")
                )))
            }
        }
    }
}

impl CellColours {
    /// Of cells with those names and columns.
    pub fn new(names: Vec<String>, columns: Vec<Colouring>) -> Self {
        Self { names, columns, ..Self::default() }
    }

    /// Of the cells `cells` of a source: what is asked for, columns that are added, the other columns of
    /// `obs`, and a few genes.
    ///
    /// Columns are those of numbers, of truth values or of 2 to 60 labels, at most 24 in the order of
    /// the file, and whatever they hold, those asked for and added. Colours of categories are those
    /// that `uns` has for them, as scanpy writes them, if they can be read. Genes are markers of the
    /// labels, or where there are none those that vary most, unless cells are far away, where they
    /// would be fetched a second time.
    ///
    /// # Errors
    /// If annotations or expression cannot be read, or a name is neither of a column nor of a gene.
    ///
    /// # Panics
    /// If there is no such cell.
    pub fn choose(
        source: &mut dyn CellSource,
        cells: &[usize],
        choice: &ColourChoice<'_>,
    ) -> Result<Self> {
        if !cells.is_sorted_by(|a, b| a < b) {
            let ascending: BTreeSet<usize> = cells.iter().copied().collect();
            let ascending: Vec<usize> = ascending.into_iter().collect();
            let found = Self::choose(source, &ascending, choice)?;
            let places: Vec<usize> =
                cells.iter().filter_map(|cell| ascending.binary_search(cell).ok()).collect();
            return Ok(found.pick(&places));
        }
        let names: Vec<&str> = choice.added.iter().map(|(name, _)| name.as_str()).collect();
        choice.check(source, &names)?;
        let obs = source.obs()?;
        let (of_obs, genes): (Vec<_>, Vec<_>) = choice
            .wanted
            .iter()
            .partition(|name| obs.column(name).is_some() || names.contains(&name.as_str()));
        let likely = likely_colour(&obs).filter(|_| choice.added.is_empty());
        let firsts: Vec<&str> = if of_obs.is_empty() {
            likely.into_iter().collect()
        } else {
            of_obs.iter().map(|name| name.as_str()).collect()
        };
        let mut found = Self::of_columns(source, &obs, cells, choice.added, &firsts);
        found.know(choice.known, choice.added.len());
        found.first =
            found.columns.iter().position(|it| firsts.first() == Some(&&*it.name)).unwrap_or(0);
        let is_labels = |place: &usize| {
            let column = found.columns.get(*place).map(|it| &it.values);
            matches!(column, Some(ColourValues::Categories { .. }))
        };
        let grouping =
            Some(if choice.added.is_empty() { found.first } else { 0 }).filter(is_labels);
        let grouping = grouping.or_else(|| found.place(likely_colour(&obs)?));
        match found.add_genes(source, cells, choice, &genes, grouping) {
            // Such as a scaled matrix, of which nobody asked for a gene.
            Err(_) if genes.is_empty() => {
                let layer = choice.layer;
                found
                    .notes
                    .push(format!("`{layer}` cannot be read, so that the menu has no genes"));
            }
            read => read?,
        }
        if let Some(name) = choice.wanted.first() {
            let gene = format!("gene {name}");
            let is_it =
                |it: &Colouring| it.name == *name || (genes.contains(&name) && it.name == gene);
            found.first = found.columns.iter().position(is_it).unwrap_or(found.first);
        }
        Ok(found)
    }

    /// Columns of `obs` with those that are `added` before them, without genes. The columns `firsts` are
    /// there whatever they hold.
    pub fn of_columns(
        source: &dyn CellSource,
        obs: &Frame,
        cells: &[usize],
        added: &[(String, Column)],
        firsts: &[&str],
    ) -> Self {
        let mut found = Self {
            names: cells.iter().map(|&cell| obs.index[cell].clone()).collect(),
            ..Self::default()
        };
        let is_first = |name: &str| firsts.contains(&name);
        let is_new = |name: &str| added.iter().any(|(other, _)| other == name);
        let of_file = || obs.columns.iter().filter(|(name, _)| !is_new(name));
        let chosen = of_file().filter(|(name, _)| is_first(name));
        let others = of_file().filter(|(name, _)| !is_first(name));
        let mut n_left_out = 0;
        for (name, column) in added.iter().chain(chosen).chain(others) {
            let column = column.pick(cells);
            let is_wanted = is_first(name) || is_new(name);
            let Some(values) = values(&column, is_wanted) else { continue };
            if found.columns.len() >= COLUMNS && !is_wanted {
                n_left_out += 1;
                continue;
            }
            let mut colouring = Colouring { name: name.clone(), values };
            // Colours of a column that is new are not those of another of its name.
            let is_same = obs.column(name).is_some_and(|of_file| is_alike(of_file, &column));
            if is_same {
                let key = colours_key(name);
                // Colours that cannot be read are no reason for no page: those of the palette serve.
                let own = source.read_lists(&key).ok().and_then(|mut lists| lists.remove(&key));
                colour(&mut colouring, &own.unwrap_or_default());
            }
            found.columns.push(colouring);
        }
        if n_left_out > 0 {
            found.notes.push(format!("{n_left_out} further columns of obs are not in the menu"));
        }
        found
    }

    /// Gives labels of the first `n` columns the colours that are known of them.
    fn know(&mut self, known: &[(String, String)], n: usize) {
        let known: BTreeMap<&str, &String> = known.iter().map(|(name, it)| (&**name, it)).collect();
        for column in self.columns.iter_mut().take(n) {
            let ColourValues::Categories { categories, .. } = &mut column.values else { continue };
            for category in categories {
                let own = known.get(&*category.name).map(|colour| (*colour).clone());
                category.colour = own.or(category.colour.take());
            }
        }
    }

    /// Adds a column that was made of all cells when the other columns, of the cells `cells`, were known. Where one of
    /// the file is called alike, the new one takes its place in the menu; if the file's is one of the first `kept`, it stays
    /// under a name that says whose it is.
    pub fn add(&mut self, cells: &[usize], (name, column): (String, &Column), kept: usize) {
        let Some(values) = values(&column.pick(cells), true) else { return };
        match self.place(&name) {
            Some(place) if place >= kept => drop(self.columns.remove(place)),
            Some(place) => self.columns[place].name = format!("{name} of the input"),
            None => {}
        }
        let place = kept.min(self.columns.len());
        // What is shown first stays so.
        self.first += usize::from(self.first >= place && !self.columns.is_empty());
        self.columns.insert(place, Colouring { name, values });
    }

    /// Adds genes that were asked for, and some that tell the labels of the column `grouping` apart.
    fn add_genes(
        &mut self,
        source: &mut dyn CellSource,
        cells: &[usize],
        choice: &ColourChoice<'_>,
        wanted: &[&String],
        grouping: Option<usize>,
    ) -> Result<()> {
        let is_far = is_url(&source.summary().path);
        let has_matrix = source.summary().shape(choice.layer).is_ok();
        if ((is_far || !has_matrix) && wanted.is_empty()) || cells.is_empty() {
            return Ok(());
        }
        let var = source.var(choice.layer)?;
        // Row numbers are no names, and what has no name is not shown.
        let Ok(names) = choice.gene_names.genes(&var) else { return Ok(()) };
        let columns = gene_columns(source, choice.layer, choice.gene_names)?;
        let all = if wanted.is_empty() { Vec::new() } else { names_of_genes(&var) };
        let of_name = |name: &&String| {
            let place = names.index.iter().position(|other| other == *name);
            let anywhere =
                || all.iter().find_map(|of| of.iter().position(|it| it.as_ref() == Some(*name)));
            place.map(|place| columns[place]).or_else(anywhere)
        };
        let asked: Vec<usize> = wanted.iter().filter_map(of_name).collect();
        let grouping = grouping.and_then(|place| self.columns.get(place));
        let (groups, labels) = match grouping.map(|it| &it.values) {
            Some(ColourValues::Categories { codes, categories }) => (&codes[..], &categories[..]),
            _ => (&[][..], &[][..]),
        };
        let genes = MapGenes::choose(source, choice.layer, cells, &columns, &asked, groups)?;
        let name = |column: usize| {
            let place = columns.binary_search(&column).ok();
            place.map_or_else(String::new, |place| names.index[place].clone())
        };
        let markers = genes.markers.iter().zip(labels);
        self.markers = markers
            .map(|(of, label)| (label.name.clone(), of.iter().map(|&gene| name(gene)).collect()))
            .collect();
        let n_chosen = genes.values.len() - asked.len();
        let unit = if genes.are_logarithms { ", as log1p of 10 000 a cell" } else { "" };
        let why = if genes.markers.iter().all(Vec::is_empty) {
            "genes that vary most".to_owned()
        } else {
            let of = grouping.map_or("", |it| it.name.as_str());
            format!("genes that tell {of} apart")
        };
        if n_chosen > 0 {
            self.notes.push(format!("the menu has {n_chosen} {why}{unit}"));
        }
        for (place, (gene, values)) in genes.values.into_iter().enumerate() {
            // As it was asked for, whichever column names it so.
            let name = wanted.get(place).map_or_else(|| name(gene), |name| (*name).clone());
            self.columns.push(Colouring::numbers(&format!("gene {name}"), values));
        }
        Ok(())
    }

    /// Those of the cells at `places`, in this order.
    fn pick(mut self, places: &[usize]) -> Self {
        self.names = places.iter().map(|&place| self.names[place].clone()).collect();
        for column in &mut self.columns {
            match &mut column.values {
                ColourValues::Numbers(values) => *values = picked(values, places),
                ColourValues::Categories { codes, .. } => *codes = picked(codes, places),
            }
        }
        self
    }

    /// The column of that name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// What a caption says of columns; nothing if there is nothing to say.
    pub(crate) fn said(&self) -> String {
        self.notes.iter().flat_map(|note| ["; ", note]).collect()
    }
}

/// The colours, as `#rrggbb`, of `labels` of a column of `obs`, by their names: those of the file, if it has some, or
/// else those that they have together on any page. None of more than 60 labels, which colours do not tell apart.
///
/// # Errors
/// If `obs` cannot be read.
pub fn label_colours(
    source: &dyn CellSource,
    column: &str,
    labels: &[String],
) -> Result<Vec<(String, String)>> {
    if labels.len() > CATEGORIES {
        return Ok(Vec::new());
    }
    let obs = source.obs()?;
    let all = Colouring::labels(column, labels.iter().map(|label| Some(&**label)));
    let of_file = CellColours::of_columns(source, &obs, &[], &[], &[column]).columns;
    let of_file = of_file.into_iter().filter(|it| it.name == column);
    let columns: Vec<Colouring> = [all].into_iter().chain(of_file).collect();
    let colours = category_colours(&columns).swap_remove(0);
    let ColourValues::Categories { categories, .. } = &columns[0].values else {
        return Ok(Vec::new());
    };
    Ok(categories.iter().map(|it| it.name.clone()).zip(colours).collect())
}

/// `uns` entries with the colours of columns that a command adds, one of each column of up to 60 labels:
/// by scanpy's names and the colours that these labels have on pages, those that are `known` of them above all.
///
/// # Errors
/// If `obs` cannot be read.
pub fn added_colours(
    source: &dyn CellSource,
    added: &[(String, Column)],
    known: &[(String, String)],
) -> Result<Vec<(String, Value)>> {
    let obs = source.obs()?;
    let few: Vec<&(String, Column)> = added.iter().filter(|(_, column)| is_few(column)).collect();
    let few: Vec<(String, Column)> =
        few.into_iter().map(|(name, column)| (name.clone(), column.pick(&[]))).collect();
    let mut found = CellColours::of_columns(source, &obs, &[], &few, &[]);
    found.know(known, few.len());
    let colours = category_colours(&found.columns);
    let of =
        |(name, colours): (&(String, Column), Vec<String>)| (colours_key(&name.0), colours.into());
    Ok(few.iter().zip(colours).map(of).collect())
}

/// What genes are called, by each place with names: the index and columns of text.
fn names_of_genes(var: &Frame) -> Vec<Vec<Option<String>>> {
    let is_text = |column: &Column| matches!(column, Column::Text(_) | Column::Categorical { .. });
    let columns = var.columns.iter().filter(|(_, column)| is_text(column));
    let index = var.index.iter().cloned().map(Some).collect();
    [index].into_iter().chain(columns.map(|(_, column)| column.labels())).collect()
}

fn picked<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|&place| values[place]).collect()
}

/// Whether both have the same categories.
fn is_alike(one: &Column, other: &Column) -> bool {
    match (one, other) {
        (Column::Categorical { categories: a, .. }, Column::Categorical { categories: b, .. }) => {
            a == b
        }
        _ => false,
    }
}

/// Whether a column has labels that colours tell apart.
fn is_few(column: &Column) -> bool {
    matches!(column, Column::Categorical { categories, .. } if (1..=CATEGORIES).contains(&categories.len()))
}

/// The entry of `uns` with the colours of a column.
fn colours_key(column: &str) -> String {
    format!("{column}_colors")
}

/// A column as colours; `None` if it tells nothing, unless it `is_wanted`.
fn values(column: &Column, is_wanted: bool) -> Option<ColourValues> {
    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than colours tell")]
    let numbers: Vec<f32> = match column {
        Column::Float(values) => {
            values.iter().map(|value| value.map_or(f32::NAN, |value| value as f32)).collect()
        }
        Column::Integer(values) => {
            values.iter().map(|value| value.map_or(f32::NAN, |value| value as f32)).collect()
        }
        Column::Categorical { codes, categories, .. } => {
            // An index of a cell is a column of as many categories as cells.
            let is_apt = is_wanted || (2..=CATEGORIES).contains(&categories.len());
            let category = |name: &String| Category { name: name.clone(), colour: None };
            let known =
                |code: &Option<u32>| code.filter(|&code| categories.get(code as usize).is_some());
            return is_apt.then(|| ColourValues::Categories {
                codes: codes.iter().map(known).collect(),
                categories: categories.iter().map(category).collect(),
            });
        }
        Column::Text(_) | Column::Boolean(_) => {
            let labels = column.labels();
            let values = Colouring::labels("", labels.iter().map(Option::as_deref)).values;
            let ColourValues::Categories { categories, .. } = &values else { return None };
            let is_apt = is_wanted || (2..=CATEGORIES).contains(&categories.len());
            return is_apt.then_some(values);
        }
        // A kind of columns that is newer than this.
        _ => return None,
    };
    let finite = || numbers.iter().copied().filter(|number| number.is_finite());
    let tells = finite().fold(f32::MAX, f32::min) < finite().fold(f32::MIN, f32::max);
    (is_wanted || tells).then_some(ColourValues::Numbers(numbers))
}

/// Gives categories the colours of a list, if it has one for each.
fn colour(colouring: &mut Colouring, own: &[String]) {
    if let ColourValues::Categories { categories, .. } = &mut colouring.values
        && own.len() == categories.len()
    {
        for (category, colour) in categories.iter_mut().zip(own) {
            // `#rrggbbaa` without its opacity.
            category.colour = Some(colour.chars().take(7).collect());
        }
    }
}

#[cfg(test)]
mod tests;
