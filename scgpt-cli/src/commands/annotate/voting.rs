//! [`VotingArgs`]: clusters of the cells vote for their types.

use anyhow::Result;
use clap::Args;
use scgpt_data::{CellSource, Column, Observer};
use scgpt_tasks::annotate::{Annotated, CellClusters, ClusterVote};
use serde::Serialize;

/// Options of voting.
#[derive(Debug, Args, Serialize)]
pub(crate) struct VotingArgs {
    /// Let clusters vote, those of this column of obs or small ones that are found by the embedding: obs gets the
    /// type with most votes in the cell's cluster, scgpt_majority_voting, its share of the votes,
    /// scgpt_majority_confidence, and clusters that were found, scgpt_over_clustering
    #[arg(
        long,
        value_name = "COLUMN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        env = "SCGPT_MAJORITY_VOTING"
    )]
    majority_voting: Option<String>,
    /// Share of the votes that a type needs; clusters in which none has it are `Heterogeneous`
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, env = "SCGPT_MIN_SHARE")]
    min_share: f64,
}

/// What clusters voted for, as columns of obs.
pub(super) struct Voted {
    pub(super) columns: Vec<(String, Column)>,
    pub(super) record: VotingRecord,
    clusters: CellClusters,
    votes: Vec<ClusterVote>,
}

/// Cells of a cluster, on average, below which its vote is little more than the words of its cells.
const FEW: f64 = 5.0;

impl Voted {
    /// The clusters and their votes.
    pub(super) fn votes(&self) -> (&CellClusters, &[ClusterVote]) {
        (&self.clusters, &self.votes)
    }

    /// A warning if a column of obs has so many clusters that their votes tell little.
    pub(super) fn caution(&self) -> Option<String> {
        let voters: usize = self.votes.iter().map(|vote| vote.cells).sum();
        let n = self.votes.iter().filter(|vote| vote.cells > 0).count();
        let size = voters as f64 / n.max(1) as f64;
        let is_found = self.record.clusters == FOUND;
        (!is_found && n > 0 && size < FEW).then(|| {
            format!(
                "`{}` has {n} values for {voters} cells, {size:.1} cells each: votes of so few say little more than the \
                 cells themselves; are these clusters? Without a column, small clusters are found",
                self.record.clusters
            )
        })
    }
}

/// How it went.
#[derive(Debug, Serialize)]
pub(super) struct VotingRecord {
    /// The column with the clusters.
    clusters: String,
    n_clusters: usize,
    n_heterogeneous: usize,
    /// Share of the cells that have another type than before.
    changed: f64,
    min_share: f64,
}

impl VotingRecord {
    pub(super) fn line(&self) -> String {
        let Self { clusters, n_clusters, n_heterogeneous, changed, .. } = self;
        let heterogeneous = match n_heterogeneous {
            0 => String::new(),
            n => format!(", {n} of them heterogeneous"),
        };
        format!(
            "{n_clusters} clusters of `{clusters}`{heterogeneous}; another type than before for {:.1} % of the cells",
            100.0 * changed
        )
    }
}

/// The columns with types and their shares, and that with clusters that were found.
const VOTING: &str = "scgpt_majority_voting";
const CONFIDENCE: &str = "scgpt_majority_confidence";
const FOUND: &str = "scgpt_over_clustering";

impl VotingArgs {
    /// Whether clusters are to vote.
    pub(super) fn is_wanted(&self) -> bool {
        self.majority_voting.is_some()
    }

    /// Checks the column of clusters, before cells are computed.
    pub(super) fn check(&self, source: &dyn CellSource) -> Result<()> {
        if let Some(column) = self.column() {
            CellClusters::of_column(source, column)?;
        }
        Ok(())
    }

    /// The column with clusters, if they are not to be found.
    fn column(&self) -> Option<&str> {
        self.majority_voting.as_deref().filter(|column| !column.is_empty())
    }

    /// Names of the columns that obs will get.
    pub(super) fn columns(&self) -> &'static [&'static str] {
        match self.majority_voting.as_deref() {
            None => &[],
            Some("") => &[VOTING, CONFIDENCE, FOUND],
            Some(_) => &[VOTING, CONFIDENCE],
        }
    }

    /// Lets clusters vote, if they are to.
    pub(super) fn vote(
        &self,
        annotated: &Annotated,
        source: &dyn CellSource,
        observer: &dyn Observer,
    ) -> Result<Option<Voted>> {
        if !self.is_wanted() {
            return Ok(None);
        }
        let clusters = match self.column() {
            Some(column) => CellClusters::of_column(source, column)?,
            None => annotated.over_clustering(observer)?,
        };
        let votes = annotated.votes(&clusters, self.min_share)?;
        let of_cell = |cluster: &Option<u32>| cluster.map(|cluster| votes[cluster as usize]);
        let of_cells: Vec<_> = clusters.of_cells.iter().map(of_cell).collect();
        let named = |vote: &Option<_>| {
            let vote: &ClusterVote = vote.as_ref()?;
            let heterogeneous = || CellClusters::HETEROGENEOUS.to_owned();
            let name = vote.class.map(|class| annotated.classes[class as usize].clone());
            (vote.cells > 0).then(|| name.unwrap_or_else(heterogeneous))
        };
        let names: Vec<Option<String>> = of_cells.iter().map(named).collect();
        let before = (0..names.len()).map(|cell| annotated.prediction(cell));
        let changed = names.iter().zip(before).filter(|(now, before)| now.as_deref() != *before);
        let record = VotingRecord {
            clusters: self.column().unwrap_or(FOUND).into(),
            n_clusters: clusters.names.len(),
            n_heterogeneous: votes.iter().filter(|it| it.cells > 0 && it.class.is_none()).count(),
            changed: changed.count() as f64 / names.len().max(1) as f64,
            min_share: self.min_share,
        };
        let share = of_cells.iter().map(|vote| vote.map(|vote| vote.share));
        let mut columns = vec![
            (VOTING.into(), Column::with_gaps(&names)),
            (CONFIDENCE.into(), Column::Float(share.collect())),
        ];
        if self.column().is_none() {
            let name = |cluster: &Option<u32>| Some(clusters.names[(*cluster)? as usize].clone());
            let names: Vec<Option<String>> = clusters.of_cells.iter().map(name).collect();
            columns.push((FOUND.into(), Column::with_gaps(&names)));
        }
        Ok(Some(Voted { columns, record, clusters, votes }))
    }
}
