//! MuData files: one group `mod/<name>` a modality, each of them AnnData, and `obsmap/<name>`, the
//! place of every cell in it.
//!
//! ```text
//! axis              attribute: 0 if modalities share cells, 1 if they share features
//! obs               all cells of all modalities
//! obsmap/NAME       for every cell its row in the modality, from 1; 0 if it was not measured there
//! mod/NAME/         a modality with its own X, obs, var, as in a file of AnnData
//! ```
//!
//! A file may begin with 512 bytes of text, `MuData (format-version=…)`, before the signature of
//! HDF5.

use std::path::Path;

use super::{MultimodalOptions, Opened, examples, features};
use crate::{
    address::is_url,
    anndata::{
        AnnData, frame,
        store::{Dtype, Node, Store, Within, join},
    },
    cell_source::CellSource as _,
    container::Container,
    error::{Error, Result},
    frame::Frame,
    modality::modality_name,
    summary::Layer,
};

const MODALITIES: &str = "mod";
const AXIS: &str = "save it again in Python with mudata.MuData({\"rna\": …, \"prot\": …}), whose modalities share cells";
const DAMAGED: &str =
    "let mdata.update() match cells and modalities, and save the file again in Python";

/// Whether there is a MuData file or zarr store at `path`.
pub(crate) fn is_mudata(path: &Path) -> Result<bool> {
    let is_store = cfg!(feature = "cloud") && is_url(path)
        || path.is_dir() && ["zarr.json", ".zgroup"].iter().any(|name| path.join(name).exists())
        || path.is_file() && has_signature(path);
    Ok(is_store && matches!(store(path)?.node(MODALITIES)?, Some(Node::Group)))
}

/// The modalities of the MuData file or zarr store at `path`, by name, each with all of its own
/// cells; `None` if there is none at `path`.
///
/// # Errors
/// If a modality cannot be opened.
pub fn open_modalities(path: &Path) -> Result<Option<Vec<(String, AnnData)>>> {
    if !is_mudata(path)? {
        return Ok(None);
    }
    let open = |name: String| {
        let within = Within::new(store(path)?, &join(MODALITIES, &name));
        Ok((name, AnnData::open(Box::new(within))?))
    };
    store(path)?.children(MODALITIES)?.into_iter().map(open).collect::<Result<_>>().map(Some)
}

/// Whether a file begins like HDF5, or like MuData, which puts 512 bytes before it.
fn has_signature(path: &Path) -> bool {
    use std::io::Read as _;
    let mut first = [0; 6];
    let read = crate::regular::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && (first.starts_with(b"\x89HDF") || first == *b"MuData")
}

fn store(path: &Path) -> Result<Box<dyn Store>> {
    Container::of(path)?.open(path)
}

/// Opens the file at `path`: the annotations of all cells, and the modalities, each with its row of
/// every cell.
pub(super) fn open(path: &Path, options: &MultimodalOptions) -> Result<(Frame, Vec<Opened>)> {
    let root = store(path)?;
    if root.attributes("")?.get("axis").and_then(serde_json::Value::as_i64).unwrap_or(0) != 0 {
        let problem = "its modalities share features, not cells";
        return Err(Error::invalid(path, "axis", problem).with_hint(AXIS));
    }
    let cells = frame::read(root.as_ref(), "obs")?;
    let mut opened = Vec::new();
    for name in root.children(MODALITIES)? {
        let group = join(MODALITIES, &name);
        let source = AnnData::open(Box::new(Within::new(store(path)?, &group)))?;
        let (obs, var) = (source.obs()?, source.var(&Layer::X)?);
        let key = options.modality_key.as_deref().filter(|key| var.column(key).is_some());
        let modality = modality_name(&name);
        let given = key.is_none().then_some(modality.as_str());
        let (modalities, spelled) = features::of(path, &var, given, key)?;
        let rows = match root.node(&join("obsmap", &name))? {
            Some(Node::Array(array)) if matches!(array.dtype(), Dtype::Integer(_)) => {
                let places = array.integers(0..array.len())?;
                Some(rows(path, &name, &places, &cells.index, &obs.index)?)
            }
            _ => None,
        };
        let source = Box::new(source);
        opened.push(Opened { source, obs, var, modalities, spelled, rows, sample: None });
    }
    if opened.is_empty() {
        return Err(Error::invalid(path, MODALITIES, "holds no modality").with_hint(DAMAGED));
    }
    Ok((cells, opened))
}

/// Rows from places that are counted from 1, 0 being none.
fn rows(
    path: &Path,
    name: &str,
    places: &[i64],
    cells: &[String],
    members: &[String],
) -> Result<Vec<Option<u32>>> {
    let wrong = |problem: String| {
        Err(Error::invalid(path, join("obsmap", name), problem).with_hint(DAMAGED))
    };
    if places.len() != cells.len() {
        return wrong(format!("{} places for {} cells", places.len(), cells.len()));
    }
    let mut is_taken = vec![false; members.len()];
    let mut rows = Vec::with_capacity(places.len());
    let mut others = Vec::new();
    for (&place, cell) in places.iter().zip(cells) {
        if place == 0 {
            rows.push(None);
            continue;
        }
        let row = usize::try_from(place - 1).ok().filter(|&row| row < members.len());
        let Some(row) = row else {
            return wrong(format!(
                "place {place} of cell `{cell}`, expected 0 to {}",
                members.len()
            ));
        };
        if std::mem::replace(&mut is_taken[row], true) {
            return wrong(format!("place {place} is that of two cells, of which one is `{cell}`"));
        }
        if members[row] != *cell {
            others.push(cell.as_str());
        }
        rows.push(u32::try_from(row).ok());
    }
    if !others.is_empty() {
        return wrong(format!("leads to cells of other names: {}", examples(others.into_iter())));
    }
    Ok(rows)
}
