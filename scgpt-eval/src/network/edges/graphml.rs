//! GraphML, as Cytoscape, Gephi, igraph and networkx read it.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use scgpt_data::{Column, Error, Existing, Place, Result};

use super::{GeneNetwork, columns::number};

/// Writes a network whole or not at all.
pub(super) fn write(network: &GeneNetwork, path: &Path, existing: Existing) -> Result<()> {
    let place = Place::new(path, existing)?;
    let write = || {
        let mut to = BufWriter::new(File::create_new(place.path())?);
        document(network, &mut to)?;
        to.flush()
    };
    write().map_err(|error| Error::write(path, error))?;
    place.publish()
}

/// The document: keys of all values, then nodes, numbered as the genes, then edges. Values that are
/// missing are left out, as the format has it.
fn document(network: &GeneNetwork, to: &mut impl io::Write) -> io::Result<()> {
    writeln!(
        to,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n\
         <key id=\"name\" for=\"node\" attr.name=\"name\" attr.type=\"string\"/>\n\
         <key id=\"weight\" for=\"edge\" attr.name=\"weight\" attr.type=\"double\"/>"
    )?;
    let numeric = |column: &Column| matches!(column, Column::Float(_) | Column::Integer(_));
    for (place, (name, column)) in network.columns.iter().enumerate() {
        let kind = if numeric(column) { "double" } else { "string" };
        let name = escaped(name);
        writeln!(
            to,
            "<key id=\"c{place}\" for=\"edge\" attr.name=\"{name}\" attr.type=\"{kind}\"/>"
        )?;
    }
    let kind = if network.is_directed { "directed" } else { "undirected" };
    writeln!(to, "<graph edgedefault=\"{kind}\">")?;
    for (gene, name) in network.genes.iter().enumerate() {
        let name = escaped(name);
        writeln!(to, "<node id=\"n{gene}\"><data key=\"name\">{name}</data></node>")?;
    }
    let labels: Vec<Option<Vec<Option<String>>>> = network
        .columns
        .iter()
        .map(|(_, column)| (!numeric(column)).then(|| column.labels()))
        .collect();
    for (row, edge) in network.edges.iter().enumerate() {
        write!(
            to,
            "<edge source=\"n{}\" target=\"n{}\"><data key=\"weight\">{}</data>",
            edge.source, edge.target, edge.weight
        )?;
        for (place, labels) in labels.iter().enumerate() {
            let value = match labels {
                Some(labels) => labels[row].as_deref().map(escaped),
                None => number(&network.columns[place].1, row).map(|value| value.to_string()),
            };
            if let Some(value) = value {
                write!(to, "<data key=\"c{place}\">{value}</data>")?;
            }
        }
        writeln!(to, "</edge>")?;
    }
    writeln!(to, "</graph>\n</graphml>")
}

/// Text that XML shows as it is; control characters, which it cannot, are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
