use super::*;
use crate::frame::Column;

fn vocab() -> GeneVocab {
    GeneVocab::from_names(["A", "B", "C", "ENSG01"]).unwrap()
}

fn var(index: &[&str], columns: &[(&str, &[&str])]) -> Frame {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    Frame {
        index_name: "_index".into(),
        index: own(index),
        columns: columns
            .iter()
            .map(|(name, labels)| (name.to_string(), Column::categorical(&own(labels))))
            .chain([("n_cells".into(), Column::Integer(vec![None; index.len()]))])
            .collect(),
    }
}

#[test]
fn the_column_with_the_best_coverage_is_taken_and_all_are_reported() {
    let var = var(
        &["x1", "x2", "A"],
        &[("family", &["A", "A", "A"]), ("symbol", &["A", "C", "Z"]), ("alias", &["B", "C", "Y"])],
    );
    let alignment = vocab().align(&var, &GeneNames::BEST).unwrap();
    assert_eq!(alignment.column, "symbol");
    assert_eq!(alignment.tokens, [Some(GeneToken(0)), Some(GeneToken(2)), None]);
    assert_eq!(alignment.unmatched, ["Z"]);
    let matched: Vec<usize> = alignment.candidates.iter().map(|c| c.matched).collect();
    assert_eq!(matched, [1, 1, 2, 2]);
    assert_eq!(alignment.summary().matched, 2);
}

#[test]
fn a_named_column_is_taken_or_the_columns_are_listed() {
    let var = var(&["A", "B"], &[("symbol", &["C", "Z"])]);
    for (column, expected) in [("symbol", "symbol"), ("index", "index"), ("_index", "index")] {
        assert_eq!(vocab().align(&var, &GeneNames::of_column(column)).unwrap().column, expected);
    }
    let error = vocab().align(&var, &GeneNames::of_column("genes")).unwrap_err().to_string();
    assert!(error.contains("`genes`") && error.contains("`index`, `symbol`"), "{error}");
    let error = vocab().align(&var, &GeneNames::of_column("n_cells")).unwrap_err().to_string();
    assert!(error.contains("holds no text"), "{error}");
}

#[test]
fn duplicates_versions_and_special_names() {
    let var = var(&["A", "ENSG01.12", "A", "<pad>", "ENSG01", "C.1"], &[]);
    let alignment = vocab().align(&var, &GeneNames::BEST).unwrap();
    let tokens = [Some(0), Some(3), None, None, None, None].map(|t| t.map(GeneToken));
    assert_eq!(alignment.tokens, tokens);
    assert_eq!(alignment.unmatched, ["<pad>", "C.1"]);
    let duplicates: Vec<_> = alignment.duplicates.iter().map(|d| (d.gene, d.kept)).collect();
    assert_eq!(duplicates, [(2, 0), (4, 1)]);
}

#[test]
fn too_few_known_genes_are_an_error_with_examples_of_both_sides() {
    let names: Vec<String> = (0..11).map(|gene| format!("AT{gene}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names[0] = "A";
    let known = (0..19).map(|gene| format!("V{gene}")).chain(["A".to_owned()]);
    let vocab = GeneVocab::from_names(known).unwrap();
    let error = vocab.align(&var(&names, &[]), &GeneNames::BEST).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("1 of 11") && message.contains("`AT1`"), "{message}");
    assert!(message.contains("`V1`") && !message.contains("<pad>"), "{message}");
    assert!(error.hint().unwrap().contains("`gene_column`"));
    assert!(vocab.align(&var(&[], &[]), &GeneNames::BEST).is_err());
}

#[test]
fn genes_are_counted_from_both_sides() {
    let names: Vec<String> = (0..1000).map(|gene| format!("G{gene}")).collect();
    let small = GeneVocab::from_names(names[..20].iter().map(String::as_str)).unwrap();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    // A whole transcriptome beside a small vocabulary.
    let summary = small.align(&var(&all, &[]), &GeneNames::BEST).unwrap().summary();
    assert_eq!((summary.matched, summary.genes, summary.vocabulary), (20, 1000, 20));
    assert!(summary.coverage < 0.1 && summary.vocabulary_coverage > 0.99);
    assert!(summary.line().contains("20 of 1000 known") && summary.line().contains("20 of the 20"));
    // A few of both.
    let few: Vec<&str> = all[19..].to_vec();
    assert!(small.align(&var(&few, &[]), &GeneNames::BEST).is_err());
    let anyway = GeneNames { min_genes: Some(0.0), ..GeneNames::BEST };
    assert_eq!(small.align(&var(&few, &[]), &anyway).unwrap().matched(), 1);
    assert!(small.align(&var(&["X"], &[]), &anyway).is_err(), "none is never enough");
}

#[test]
fn row_numbers_are_no_names_and_antibodies_no_genes() {
    let numbers = GeneVocab::from_names(["0", "1", "A"]).unwrap();
    let table = var(&["0", "1", "2"], &[("symbol", &["A", "B", "C"])]);
    let alignment = numbers.align(&table, &GeneNames::BEST).unwrap();
    assert_eq!((alignment.column.as_str(), alignment.matched()), ("symbol", 1));
    let named = numbers.align(&table, &GeneNames::of_column("index")).unwrap();
    assert_eq!(named.matched(), 2);
    assert!(numbers.align(&var(&["0", "1"], &[]), &GeneNames::BEST).is_err());

    let types: &[&str] = &["Gene Expression", "Antibody Capture", "Antibody Capture"];
    let table = var(&["A", "B", "ADT1"], &[("feature_types", types)]);
    let alignment = vocab().align(&table, &GeneNames::BEST).unwrap();
    assert_eq!(alignment.tokens, [Some(GeneToken(0)), None, None]);
    assert!(alignment.unmatched.is_empty() && alignment.genes() == 1);
    assert_eq!(alignment.summary().others().unwrap(), "2 × Antibody Capture");
    let all = GeneNames { all_features: true, ..GeneNames::BEST };
    assert_eq!(vocab().align(&table, &all).unwrap().matched(), 2);
    let only = var(&["B"], &[("feature_types", &["Antibody Capture"])]);
    let message = vocab().align(&only, &GeneNames::BEST).unwrap_err().to_string();
    assert!(message.contains("1 × Antibody Capture"), "{message}");
    let genes = GeneVocab::from_genes([&table], &GeneNames::BEST).unwrap();
    assert!(genes.names().eq(["A", "<pad>", "<cls>", "<eoc>"]));
}

#[test]
fn genes_are_known_under_their_other_names() {
    let vocab = GeneVocab::from_names(["H2AFZ", "CD3D", "TP53", "MARCH1", "NKX2-1"]).unwrap();
    let align = |index: &[&str], names: &GeneNames| vocab.align(&var(index, &[]), names);
    let data = ["H2AZ1", "Cd3d", "p53", "MARCHF1", "ENSG00000136352.9", "no_gene"];
    let alignment = align(&data, &GeneNames::BEST).unwrap();
    let tokens = [Some(0), Some(1), Some(2), Some(3), Some(4), None];
    assert_eq!(alignment.tokens, tokens.map(|token| token.map(GeneToken)));
    assert_eq!(alignment.unmatched, ["no_gene"]);
    let summary = alignment.summary();
    let kinds: Vec<_> = summary.renamed.iter().map(|(kind, n)| (kind.to_string(), *n)).collect();
    let expected = [("symbol", 2), ("Ensembl id", 1), ("alias", 1), ("mouse ortholog", 1)];
    assert_eq!(kinds, expected.map(|(kind, n)| (kind.to_owned(), n)));
    assert!(summary.line().contains("5 of them under another name"), "{}", summary.line());
    assert!(summary.other_names().unwrap().contains("H2AZ1 is H2AFZ"));
    let as_they_are = GeneNames { genes_as_they_are: true, ..GeneNames::BEST };
    assert!(align(&data, &as_they_are).is_err());

    // A gene that is there by its own name is no other one, and two names of one gene are one.
    let both = align(&["CD3D", "Cd3d", "TP53", "P53", "trp53"], &GeneNames::BEST).unwrap();
    assert_eq!(both.tokens[..2], [Some(GeneToken(1)), None]);
    assert_eq!((both.matched(), both.renamed.len(), both.duplicates.len()), (2, 0, 0));
    let twice = align(&["H2AZ1", "H2az1"], &GeneNames::BEST).unwrap();
    assert_eq!((twice.matched(), twice.duplicates[0].name.as_str()), (1, "H2az1"));
}

#[test]
fn a_column_with_the_names_of_the_vocabulary_is_better_than_one_with_others() {
    let vocab = GeneVocab::from_names(["CD3D", "TP53", "MS4A1"]).unwrap();
    let ids = ["ENSG00000167286", "ENSG00000141510", "ENSG00000156738"];
    let table = var(&ids, &[("symbol", &["CD3D", "TP53", "odd"])]);
    let alignment = vocab.align(&table, &GeneNames::BEST).unwrap();
    assert_eq!((alignment.column.as_str(), alignment.matched()), ("symbol", 2));
    let only = vocab.align(&var(&ids, &[]), &GeneNames::BEST).unwrap();
    assert_eq!((only.matched(), only.renamed.len()), (3, 3));
}

#[test]
fn retain_leaves_only_the_chosen_genes() {
    let mut alignment = vocab().align(&var(&["A", "B"], &[]), &GeneNames::BEST).unwrap();
    alignment.retain(|gene| gene == 1);
    assert_eq!(alignment.tokens, [None, Some(GeneToken(1))]);
}
