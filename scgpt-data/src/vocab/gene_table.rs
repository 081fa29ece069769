//! [`GeneTable`]: what human genes are called, elsewhere and in earlier years.
//!
//! The table is a part of the program: `assets/genes.tsv.gz`, which `assets/make_genes.py` makes of tables of HGNC, MGI
//! and GENCODE. It is unpacked when first a name is not found.

use std::{collections::HashMap, fmt, io::Read as _, sync::OnceLock};

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};

const TABLE: &[u8] = include_bytes!("../../assets/genes.tsv.gz");

/// What a name is for the gene that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GeneNameKind {
    /// The symbol that HGNC has approved.
    Symbol,
    /// An id of Ensembl, of the human gene.
    Ensembl,
    /// A symbol that it once had.
    Previous,
    /// Another name.
    Alias,
    /// The symbol, or the id of Ensembl, of its only ortholog in the mouse.
    Mouse,
    /// One of these in other case.
    Case,
}

impl fmt::Display for GeneNameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symbol => "symbol",
            Self::Ensembl => "Ensembl id",
            Self::Previous => "previous symbol",
            Self::Alias => "alias",
            Self::Mouse => "mouse ortholog",
            Self::Case => "other case",
        })
    }
}

/// The gene of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A gene by its number, and what the name is for it.
    Gene(u32, GeneNameKind),
    /// Several genes, none of which has it for its symbol.
    Several,
    Nothing,
}

/// Names of genes; a gene is a number.
pub(super) struct GeneTable {
    /// Genes with a name, by what it is for them.
    names: HashMap<&'static str, Vec<(GeneNameKind, u32)>>,
    /// The same without regard to case, of names that are no aliases.
    folded: HashMap<String, Vec<u32>>,
}

impl GeneTable {
    /// The table of the program.
    pub(super) fn get() -> &'static Self {
        static TEXT: OnceLock<String> = OnceLock::new();
        static GENES: OnceLock<GeneTable> = OnceLock::new();
        GENES.get_or_init(|| {
            Self::of(TEXT.get_or_init(|| {
                let mut text = String::new();
                // It is a part of the program, and a test reads it; an empty table would know no names.
                let unpacked = GzDecoder::new(TABLE).read_to_string(&mut text);
                unpacked.map_or_else(|_| String::new(), |_| text)
            }))
        })
    }

    fn of(text: &'static str) -> Self {
        use GeneNameKind::{Alias, Ensembl, Mouse, Previous, Symbol};
        let mut names: HashMap<&str, Vec<(GeneNameKind, u32)>> = HashMap::with_capacity(250_000);
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        for (gene, row) in (0..).zip(rows) {
            let kinds = [Symbol, Ensembl, Previous, Alias, Mouse, Mouse];
            for (kind, field) in kinds.into_iter().zip(row.split('\t')) {
                for name in field.split('|').filter(|name| !name.is_empty()) {
                    names.entry(name).or_default().push((kind, gene));
                }
            }
        }
        let mut folded: HashMap<String, Vec<u32>> = HashMap::with_capacity(names.len());
        for (name, genes) in &mut names {
            genes.sort_unstable();
            genes.dedup();
            let of_name = genes.iter().filter(|(kind, _)| *kind != Alias).map(|&(_, gene)| gene);
            folded.entry(name.to_lowercase()).or_default().extend(of_name);
        }
        for genes in folded.values_mut() {
            genes.sort_unstable();
            genes.dedup();
        }
        Self { names, folded }
    }

    /// The gene that a name is of: whose symbol it is, or else whose id, previous symbol, alias or ortholog; of one
    /// kind it must be that of one gene.
    pub(super) fn gene(&self, name: &str) -> Named {
        let found = self.names.get(name).or_else(|| self.names.get(unversioned(name)?));
        if let Some(genes) = found {
            let kind = genes[0].0;
            let mut of_kind = genes.iter().take_while(|(other, _)| *other == kind);
            return match (of_kind.next(), of_kind.next()) {
                (Some(&(_, gene)), None) => Named::Gene(gene, kind),
                _ => Named::Several,
            };
        }
        match self.folded.get(&name.to_lowercase()).map(Vec::as_slice) {
            Some(&[gene]) => Named::Gene(gene, GeneNameKind::Case),
            Some([_, ..]) => Named::Several,
            _ => Named::Nothing,
        }
    }
}

/// An id of Ensembl without its version.
pub(super) fn unversioned(name: &str) -> Option<&str> {
    let (id, version) = name.rsplit_once('.')?;
    let is_id = id.starts_with("ENS") && version.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genes_are_found_by_any_of_their_names() {
        use GeneNameKind::{Alias, Case, Ensembl, Mouse, Previous, Symbol};
        let table = GeneTable::get();
        let gene = |name: &str| match table.gene(name) {
            Named::Gene(gene, kind) => (gene, kind),
            other => panic!("{name}: {other:?}"),
        };
        let (h2az1, _) = gene("H2AZ1");
        for (name, kind) in [
            ("H2AZ1", Symbol),
            ("H2AFZ", Previous),
            ("H2A.Z", Alias),
            ("ENSG00000164032", Ensembl),
            ("ENSG00000164032.5", Ensembl),
            ("H2az1", Mouse),
            ("ENSMUSG00000037894.2", Mouse),
            ("h2afz", Case),
        ] {
            assert_eq!(gene(name), (h2az1, kind), "{name}");
        }
        // The symbol of one gene, and an alias of others.
        assert_eq!(gene("CD3D").1, Symbol);
        assert_eq!(table.gene("no gene at all"), Named::Nothing);
    }

    #[test]
    fn names_of_several_genes_name_none() {
        let table = GeneTable::of(
            "# made of nothing\nA\tENSG1\tOLD\tX|Y\tAa\nB\t\tOLD\tX|A\nC\t\t\tOLD\taA\nY\n",
        );
        assert_eq!(table.gene("A"), Named::Gene(0, GeneNameKind::Symbol));
        assert_eq!(table.gene("OLD"), Named::Several);
        assert_eq!(table.gene("X"), Named::Several);
        assert_eq!(table.gene("Y"), Named::Gene(3, GeneNameKind::Symbol));
        assert_eq!(table.gene("Aa"), Named::Gene(0, GeneNameKind::Mouse));
        assert_eq!(table.gene("AA"), Named::Several, "in other case it is of two");
        assert_eq!(table.gene("b"), Named::Gene(1, GeneNameKind::Case));
    }
}
