use scgpt_data::{Csr, MemoryCells};

use super::*;

/// Cells whose file has colours; whether their matrix cannot be read.
struct Coloured(MemoryCells<'static>, bool);

impl CellSource for Coloured {
    scgpt_data::forward!(0: summary, obs, var, read_obsm, unread);

    fn read(&mut self, layer: &Layer, rows: std::ops::Range<usize>) -> Result<Csr> {
        if self.1 { Err(Error::Option("scaled".into())) } else { self.0.read(layer, rows) }
    }

    fn read_lists(&self, name: &str) -> scgpt_data::Result<BTreeMap<String, Vec<String>>> {
        let colours = ["#ff0000", "#00ff00ff"].map(String::from).to_vec();
        let is_there = name == "type_colors";
        Ok(is_there.then(|| (name.to_owned(), colours)).into_iter().collect())
    }
}

#[test]
fn columns_of_obs_become_colours() {
    let column = |labels: [&str; 4]| Column::categorical(&labels.map(String::from));
    let columns: Vec<(&str, Column)> = vec![
        ("n", Column::Integer(vec![Some(4), None, Some(9), Some(5)])),
        ("constant", Column::Float(vec![Some(1.0); 4])),
        ("one", column(["a", "a", "a", "a"])),
        ("type", column(["T", "B", "T", "T"])),
        ("ok", Column::Boolean(vec![Some(true), Some(false), None, Some(true)])),
    ];
    let obs = Frame {
        columns: columns.into_iter().map(|(name, it)| (name.to_owned(), it)).collect(),
        ..Frame::of_names(["c0", "c1", "c2", "c3"])
    };
    let var = Frame::of_names(["gene"]);
    let matrix = Csr::of_rows(1, (0..4).map(|_| (vec![], vec![]))).unwrap();
    let cells = Coloured(MemoryCells::of(matrix, obs.clone(), var).unwrap(), false);
    let found = CellColours::of_columns(&cells, &obs, &[1, 3], &[], &["type"]);
    assert_eq!(found.names, ["c1", "c3"]);
    let names: Vec<&str> = found.columns.iter().map(|it| it.name.as_str()).collect();
    // The number of cell c1 is missing, so that one is left: it tells nothing.
    assert_eq!(names, ["type", "ok"]);
    let ColourValues::Categories { codes, categories } = &found.columns[0].values else { panic!() };
    assert_eq!(codes, &[Some(0), Some(1)]);
    let colours: Vec<_> = categories.iter().map(|it| it.colour.as_deref()).collect();
    assert_eq!(colours, [Some("#ff0000"), Some("#00ff00")]);
    let all = CellColours::of_columns(&cells, &obs, &[0, 1, 2, 3], &[], &[]);
    let names: Vec<&str> = all.columns.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["n", "type", "ok"]);
}

#[test]
fn what_is_made_of_the_cells_takes_the_place_of_an_older_column() {
    let column = |name: &str| Colouring::labels(name, ["a", "b", "a"].map(Some));
    let older = || CellColours::new(vec![], vec![column("batch"), column("leiden")]);
    let made = Column::categorical(&["0", "1", "1", "0"].map(String::from));
    let mut found = older();
    found.add(&[0, 2, 3], ("leiden".into(), &made), 1);
    let names = |of: &CellColours| of.columns.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&found), found.first), (vec!["batch".to_owned(), "leiden".into()], 0));
    let ColourValues::Categories { codes, .. } = &found.columns[1].values else { panic!() };
    assert_eq!(codes, &[Some(0), Some(1), Some(0)]);
    // The map is drawn by the older one: it stays, and no name is there twice.
    let mut drawn = older();
    drawn.add(&[0, 2, 3], ("leiden".into(), &made), 2);
    assert_eq!(names(&drawn), ["batch", "leiden of the input", "leiden"]);
}

#[test]
fn added_columns_have_the_colours_of_the_file_and_genes_are_found() {
    let types = Column::categorical(&["T", "B", "T", "B"].map(String::from));
    let mut obs = Frame::of_names(["c0", "c1", "c2", "c3"]);
    obs.columns.push(("type".into(), types.clone()));
    let rows = (0..4_u8).map(|cell| (vec![0, 1], vec![1.0 + f32::from(cell), 4.0]));
    let matrix = Csr::of_rows(2, rows).unwrap();
    let memory = MemoryCells::of(matrix, obs, Frame::of_names(["CD3D", "MS4A1"])).unwrap();
    let mut cells = Coloured(memory, false);
    let added = vec![("prediction".to_owned(), types)];
    let [(key, colours)] = &added_colours(&cells, &added, &[]).unwrap()[..] else { panic!() };
    // A model that learned these types knows their colours; others of the file stay.
    let known = [("T".to_owned(), "#0000ff".to_owned())];
    let of_model = added_colours(&cells, &added, &known).unwrap();
    assert_eq!(of_model[0].1, serde_json::json!(["#ff0000", "#0000ff"]));
    let labels = ["T", "X"].map(String::from);
    let learned = label_colours(&cells, "type", &labels).unwrap();
    assert_eq!(learned[0], ("T".into(), "#00ff00".into()));
    assert!(learned[1].0 == "X" && learned[1].1 != "#00ff00");
    // Categories in their order: B, T.
    assert_eq!(
        (key.as_str(), colours),
        ("prediction_colors", &serde_json::json!(["#ff0000", "#00ff00"]))
    );
    let wanted = ["MS4A1".to_owned()];
    let names = GeneNames::BEST;
    let choice = ColourChoice {
        added: &added,
        known: &[],
        wanted: &wanted,
        layer: &Layer::X,
        gene_names: &names,
    };
    let found = CellColours::choose(&mut cells, &[0, 2, 3], &choice).unwrap();
    let turned = CellColours::choose(&mut cells, &[3, 0, 2], &choice).unwrap();
    assert_eq!(turned.names, ["c3", "c0", "c2"]);
    let ColourValues::Numbers(values) = &turned.columns[2].values else { panic!() };
    assert!(values[1] > values[2] && values[2] > values[0], "less of it in larger cells");
    let of: Vec<&str> = found.columns.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(of[..3], ["prediction", "type", "gene MS4A1"]);
    assert_eq!((found.first, found.names.len()), (2, 3));
    // Where they cannot be read, that is said, unless one was asked for.
    cells.1 = true;
    let bare = ColourChoice { wanted: &[], ..choice };
    let bare = CellColours::choose(&mut cells, &[0, 2], &bare).unwrap();
    assert!(bare.columns.len() == 2 && bare.said().contains("`X` cannot be read"));
    assert!(CellColours::choose(&mut cells, &[0], &choice).is_err());
    let wanted = ["MS4A2".to_owned()];
    let refused =
        CellColours::choose(&mut cells, &[0], &ColourChoice { wanted: &wanted, ..choice });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("nor a gene") && refused.contains("MS4A1"), "{refused}");
}
