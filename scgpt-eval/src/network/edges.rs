//! [`GeneNetwork`]: genes and the edges between them, ours or another tool's.

mod columns;
mod graphml;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use scgpt_data::{Column, Error, Existing, Result, Table};

use self::columns::Columns;

/// An edge between two genes, which are given by their numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The regulator; in an undirected network either of the two genes.
    pub source: usize,
    /// The gene that is regulated; in an undirected network the other gene.
    pub target: usize,
    /// How strong the edge is: larger is stronger, and a negative weight represses.
    pub weight: f64,
}

/// Whether the two genes of an edge play different parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeKind {
    /// The source regulates the target.
    Directed,
    /// Source and target are two genes in either order.
    Undirected,
}

/// Genes and the weighted edges between them.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneNetwork {
    genes: Vec<String>,
    edges: Vec<Edge>,
    is_directed: bool,
    /// What else is known of the edges, such as `p` and `q`: one value an edge.
    columns: Vec<(String, Column)>,
}

impl GeneNetwork {
    /// A network of these genes and edges.
    ///
    /// # Panics
    /// If an edge has a gene that does not exist.
    ///
    /// ```
    /// use scgpt_eval::network::{Edge, EdgeKind, GeneNetwork};
    ///
    /// let genes = vec!["SPI1".to_owned(), "CSF1R".to_owned(), "GATA1".to_owned()];
    /// let edge = |source, target, weight| Edge { source, target, weight };
    /// let edges = vec![edge(0, 1, 0.9), edge(2, 0, -0.4)];
    /// let network = GeneNetwork::new(genes, edges, EdgeKind::Directed);
    /// assert_eq!(network.strongest(1).edges()[0].target, 1);
    /// ```
    pub fn new(genes: Vec<String>, edges: Vec<Edge>, kind: EdgeKind) -> Self {
        let n = genes.len();
        assert!(edges.iter().all(|edge| edge.source.max(edge.target) < n), "edges between genes");
        let is_directed = kind == EdgeKind::Directed;
        Self { genes, edges, is_directed, columns: Vec::new() }
    }

    /// The same network with a further column, one value an edge.
    ///
    /// # Panics
    /// If there is not one value an edge.
    #[must_use]
    pub fn with_column(mut self, name: &str, values: Column) -> Self {
        assert_eq!(values.len(), self.edges.len(), "one value an edge");
        self.columns.push((name.into(), values));
        self
    }

    /// The genes, those without edges among them.
    pub fn genes(&self) -> &[String] {
        &self.genes
    }

    /// The edges.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Whether source and target play different parts.
    pub fn is_directed(&self) -> bool {
        self.is_directed
    }

    /// Why a list that is read as directed looks undirected, if it does: edges are listed both
    /// ways, or each pair once in an order that no regulation has.
    pub fn looks_undirected(&self) -> Option<&'static str> {
        /// Fewer edges, or regulators, may be in any order by chance.
        const FEW: usize = 20;
        let n = self.genes.len();
        let regulators: HashSet<usize> = self.edges.iter().map(|edge| edge.source).collect();
        if !self.is_directed || self.edges.len() < FEW || 3 * regulators.len() < n {
            return None;
        }
        let weights: HashMap<(usize, usize), f64> =
            self.edges.iter().map(|edge| ((edge.source, edge.target), edge.weight)).collect();
        let mirrored = |edge: &Edge| {
            weights
                .get(&(edge.target, edge.source))
                .is_some_and(|&it| it.total_cmp(&edge.weight).is_eq())
        };
        if self.edges.iter().all(mirrored) {
            return Some("every edge is listed both ways, with one weight");
        }
        let name = |gene: usize| self.genes[gene].as_str();
        let is_sorted = |edge: &Edge| name(edge.source) < name(edge.target);
        if self.edges.iter().all(is_sorted) {
            return Some("the two genes of every edge are in alphabetical order");
        }
        (self.regulates_both_ways(&regulators) && !self.has_cycle())
            .then_some("most genes regulate and are regulated, but nowhere in a circle")
    }

    /// Whether most genes are at both ends of edges.
    fn regulates_both_ways(&self, regulators: &HashSet<usize>) -> bool {
        let targets: HashSet<usize> = self.edges.iter().map(|edge| edge.target).collect();
        10 * regulators.intersection(&targets).count() > 8 * self.genes.len()
    }

    /// Whether some way along the edges comes back to its beginning.
    fn has_cycle(&self) -> bool {
        let n = self.genes.len();
        let (mut targets, mut open) = (vec![Vec::new(); n], vec![0_usize; n]);
        for edge in &self.edges {
            targets[edge.source].push(edge.target);
            open[edge.target] += 1;
        }
        // Genes that nothing regulates are taken away until there are none: what is left goes round.
        let mut free: Vec<usize> = (0..n).filter(|&gene| open[gene] == 0).collect();
        let mut taken = 0;
        while let Some(gene) = free.pop() {
            taken += 1;
            for &target in &targets[gene] {
                open[target] -= 1;
                if open[target] == 0 {
                    free.push(target);
                }
            }
        }
        taken < n
    }

    /// The further column of that name, if there is one.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(other, _)| other == name).map(|(_, column)| column)
    }

    /// The network of the `n` edges with the largest weights, the strongest first; of equal ones
    /// the earlier first.
    #[must_use]
    pub fn strongest(&self, n: usize) -> Self {
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        order.sort_by(|&a, &b| self.edges[b].weight.total_cmp(&self.edges[a].weight));
        order.truncate(n);
        self.pick(&order)
    }

    /// A network of these edges in that order, and of all genes.
    fn pick(&self, edges: &[usize]) -> Self {
        let columns = self.columns.iter().map(|(name, column)| (name.clone(), column.pick(edges)));
        Self {
            genes: self.genes.clone(),
            edges: edges.iter().map(|&edge| self.edges[edge]).collect(),
            is_directed: self.is_directed,
            columns: columns.collect(),
        }
    }

    /// Reads an edge list: `.csv`, `.tsv` (gzip or not) or `.parquet`, see [`Table::read`].
    ///
    /// Columns are known by their usual names: `source`, `TF`, `regulator`, `Gene1`, …; `target`,
    /// `Gene2`, …; `weight`, `importance`, `EdgeWeight`, … Without a column of weights the only
    /// column of numbers is taken; if there is none, all weights are 1. Genes are in the order in
    /// which they first occur.
    ///
    /// # Errors
    /// If the file cannot be read, a column is missing or ambiguous, or a value of these is missing.
    pub fn read(path: &Path, kind: EdgeKind) -> Result<Self> {
        let table = Table::read(path)?;
        let Columns { source, target, weight } = Columns::find(path, &table)?;
        let wrong = |column: usize, row: usize, problem: String| -> Error {
            let place = format!("{}, row {}", table.columns[column].0, row + 1);
            scgpt_data::Error::invalid(path, place, problem)
        };
        let mut genes = Vec::new();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut ends = [source, target].map(|column| table.columns[column].1.labels().into_iter());
        let mut edges = Vec::with_capacity(table.len());
        for row in 0..table.len() {
            let mut number = |end: usize, column: usize| {
                let name = ends[end].next().flatten();
                let name = name.ok_or_else(|| wrong(column, row, "no gene".into()))?;
                Ok::<_, Error>(*numbers.entry(name).or_insert_with_key(|name| {
                    genes.push(name.clone());
                    genes.len() - 1
                }))
            };
            let (source, target) = (number(0, source)?, number(1, target)?);
            let weight = match weight {
                None => 1.0,
                Some(column) => columns::number(&table.columns[column].1, row)
                    .ok_or_else(|| wrong(column, row, "no number".into()))?,
            };
            edges.push(Edge { source, target, weight });
        }
        if edges.is_empty() {
            return Err(scgpt_data::Error::invalid(path, "edges", "there is none"));
        }
        let taken = |place: usize| place == source || place == target || Some(place) == weight;
        let others = table.columns.into_iter().enumerate().filter(|(place, _)| !taken(*place));
        let columns = others.map(|(_, column)| column).collect();
        Ok(Self { columns, ..Self::new(genes, edges, kind) })
    }

    /// Writes the edges as `.csv`, `.tsv` or `.parquet` with columns `source`, `target`, `weight` and
    /// the further ones, or the network as `.graphml`. The file appears whole or not at all.
    ///
    /// # Errors
    /// If it exists and `existing` refuses it, or cannot be written.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<()> {
        if path.extension().is_some_and(|extension| extension == "graphml") {
            return graphml::write(self, path, existing);
        }
        self.table().write(path, existing)
    }

    /// The edge list as a table with the columns `source`, `target`, `weight` and the further ones.
    pub fn table(&self) -> Table {
        let end = |of: fn(&Edge) -> usize| {
            let name = |edge: &Edge| Some(self.genes[of(edge)].clone());
            Column::Text(self.edges.iter().map(name).collect())
        };
        let weights = Column::Float(self.edges.iter().map(|edge| Some(edge.weight)).collect());
        let mut columns = vec![
            ("source".into(), end(|edge| edge.source)),
            ("target".into(), end(|edge| edge.target)),
            ("weight".into(), weights),
        ];
        columns.extend(self.columns.iter().cloned());
        Table { columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> GeneNetwork {
        let edge = |source, target, weight| Edge { source, target, weight };
        let edges = vec![edge(0, 1, 0.5), edge(2, 0, -1.5), edge(1, 2, 0.75)];
        GeneNetwork::new(["A", "B<&>", "C"].map(String::from).to_vec(), edges, EdgeKind::Directed)
            .with_column("p", Column::Float(vec![Some(0.1), None, Some(1e-20)]))
    }

    #[test]
    fn the_strongest_come_first_with_their_columns() {
        let strongest = network().strongest(2);
        assert_eq!(strongest.edges().iter().map(|e| e.weight).collect::<Vec<_>>(), [0.75, 0.5]);
        assert_eq!(strongest.column("p"), Some(&Column::Float(vec![Some(1e-20), Some(0.1)])));
        assert_eq!(strongest.genes().len(), 3);
    }

    #[test]
    fn edge_lists_are_read_as_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["n.csv", "n.tsv", "n.parquet"] {
            let path = folder.path().join(name);
            network().write(&path, Existing::Refuse).unwrap();
            assert_eq!(GeneNetwork::read(&path, EdgeKind::Directed).unwrap(), network());
        }
        let path = folder.path().join("n.graphml");
        network().write(&path, Existing::Refuse).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("edgedefault=\"directed\"") && text.contains("B&lt;&amp;&gt;"));
        assert!(
            text.contains("<edge source=\"n2\" target=\"n0\"><data key=\"weight\">-1.5</data>")
        );
        assert!(network().write(&path, Existing::Refuse).is_err(), "nothing is overwritten");
    }

    #[test]
    fn lists_of_other_tools_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.csv");
        for (text, weight) in [
            ("TF,target,importance\nA,B,2.5\n", 2.5),
            ("Gene1\tGene2\tEdgeWeight\nA\tB\t2.5\n", 2.5),
            ("Gene1,Gene2\nA,B\n", 1.0),
            (",regulatoryGene,targetGene,weight\n1,A,B,2.5\n", 2.5),
            ("protein1 protein2 combined_score\nA B 900\n", 900.0),
            ("tf,target,mor,confidence\nA,B,-1,0.3\n", -1.0),
            ("regulator,target,strength\nA,B,0.4\n", 0.4),
            ("from,to,something\nA,B,0.4\n", 0.4),
        ] {
            std::fs::write(&path, text).unwrap();
            let network = GeneNetwork::read(&path, EdgeKind::Directed).unwrap();
            assert_eq!(network.genes(), ["A", "B"], "{text}");
            assert_eq!(network.edges(), [Edge { source: 0, target: 1, weight }], "{text}");
        }
        for (text, expected) in [
            ("a,b\nA,B\n", "`a`, `b`"),
            ("source,target,x,y\nA,B,1,2\n", "`x`, `y`"),
            ("source,target,weight\nA,,1\n", "row 1"),
            ("source,target,weight\nA,B,\nA,B,2\n", "no number"),
            ("source,target,weight\n", "there is none"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = GeneNetwork::read(&path, EdgeKind::Directed).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
