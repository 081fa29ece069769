//! [`Lent`]: arrays in memory that stand for those of a file.
//!
//! Another program that holds cells in memory writes a file of their annotations, in which matrices are empty, and
//! lends the matrices: whatever opens that file, by its path, reads them in place of the empty ones. So cells in
//! memory are read by the code that reads files, to the last format of a matrix, and nothing is copied but the rows
//! that are asked for.

use std::{
    collections::BTreeMap,
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Map, Value};

use crate::{
    anndata::{
        number,
        store::{Array, Dtype, Node, Store},
    },
    error::{Error, Result},
};

/// What is lent in this process, by the path of the file.
static LENT: Mutex<BTreeMap<PathBuf, Arc<Loan>>> = Mutex::new(BTreeMap::new());

/// Places of matrices that stay in their file when a program keeps the annotations in memory.
const BACKED: [&str; 3] = ["X", "raw/X", "raw.X"];

/// What is lent to a file.
#[derive(Debug)]
struct Loan {
    /// Arrays by their places, such as `X/data`.
    arrays: BTreeMap<String, LentArray>,
    /// The file that has `X` and `raw/X`, if they are not lent.
    backing: Option<PathBuf>,
}

/// Numbers that somebody else holds in memory.
#[derive(Clone)]
pub struct LentArray {
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
}

/// A loan of arrays, which ends when it is dropped; a file that is open then keeps them.
#[derive(Debug)]
pub struct Lent {
    path: PathBuf,
}

/// A file some of whose arrays are lent.
struct LentStore {
    file: Box<dyn Store>,
    loan: Arc<Loan>,
    backing: Option<Box<dyn Store>>,
}

/// An array with the file and the place that it stands for.
struct Placed {
    array: LentArray,
    path: PathBuf,
    place: String,
}

impl fmt::Debug for LentArray {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("LentArray").field(&self.dtype).field(&self.shape).finish()
    }
}

impl LentArray {
    /// An array of a shape, whose elements are of a type by its name in numpy (`float32`, `int64`, `bool`), and the
    /// bytes of all of them, row-major and little-endian.
    ///
    /// # Errors
    /// If they are no numbers, or not as many as the shape says.
    pub fn new(
        shape: &[usize],
        dtype: &str,
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    ) -> Result<Self> {
        let array = Self { shape: shape.into(), dtype: Dtype::named(dtype), bytes };
        let invalid = |problem: String| Err(Error::invalid("cells in memory", dtype, problem));
        let Some(width) = array.width() else {
            return invalid("elements of this type, expected numbers".into());
        };
        let (n, expected) = (array.bytes().len(), shape.iter().product::<usize>() * width);
        if n == expected {
            Ok(array)
        } else {
            invalid(format!("{n} bytes, expected {expected} for the shape {shape:?}"))
        }
    }

    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// Bytes of an element.
    fn width(&self) -> Option<usize> {
        let digits = self.dtype.name().trim_start_matches(|it: char| it.is_alphabetic());
        match &self.dtype {
            Dtype::Boolean => Some(1),
            Dtype::Integer(_) | Dtype::Float(_) => Some(digits.parse::<usize>().ok()? / 8),
            _ => None,
        }
    }

    /// The bytes of rows, as far as there are any.
    fn rows(&self, rows: Range<usize>) -> &[u8] {
        let row = self.shape.iter().skip(1).product::<usize>() * self.width().unwrap_or(1);
        let end = rows.end.saturating_mul(row).min(self.bytes().len());
        &self.bytes()[rows.start.saturating_mul(row).min(end)..end]
    }
}

impl Lent {
    /// Lends arrays, by their places, to whatever opens the AnnData or MuData file at `path` from now on; if there is a
    /// `backing` file, `X` and `raw/X` are its.
    #[must_use = "the loan ends when this is dropped"]
    pub fn new(
        path: impl Into<PathBuf>,
        arrays: impl IntoIterator<Item = (String, LentArray)>,
        backing: Option<PathBuf>,
    ) -> Self {
        let (path, arrays) = (path.into(), arrays.into_iter().collect());
        all_lent(|lent| lent.insert(path.clone(), Arc::new(Loan { arrays, backing })));
        Self { path }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        all_lent(|lent| lent.remove(&self.path));
    }
}

fn all_lent<T>(act: impl FnOnce(&mut BTreeMap<PathBuf, Arc<Loan>>) -> T) -> T {
    // The table is whole at any time, whoever panicked.
    act(&mut LENT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether matrices of the file at `path` are lent, so that the file alone is not what is read from it.
pub(crate) fn is_lent(path: &Path) -> bool {
    all_lent(|lent| lent.contains_key(path))
}

/// The file with what is lent to it, if there is anything.
///
/// # Errors
/// If `open` cannot open the backing file.
pub(crate) fn with_lent(
    file: Box<dyn Store>,
    open: impl FnOnce(&Path) -> Result<Box<dyn Store>>,
) -> Result<Box<dyn Store>> {
    let Some(loan) = all_lent(|lent| lent.get(file.path()).cloned()) else { return Ok(file) };
    let backing = loan.backing.as_deref().map(open).transpose()?;
    Ok(Box::new(LentStore { file, loan, backing }))
}

impl LentStore {
    /// The file that has what is at `place`.
    fn file_of(&self, place: &str) -> &dyn Store {
        let is_within = |matrix: &str| {
            place.strip_prefix(matrix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let backing = self.backing.as_deref().filter(|_| BACKED.into_iter().any(is_within));
        backing.unwrap_or(self.file.as_ref())
    }
}

impl Store for LentStore {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn format(&self) -> String {
        "memory".into()
    }

    fn node(&self, place: &str) -> Result<Option<Node>> {
        let Some(array) = self.loan.arrays.get(place).cloned() else {
            return self.file_of(place).node(place);
        };
        let placed = Placed { array, path: self.path().into(), place: place.into() };
        Ok(Some(Node::Array(Box::new(placed))))
    }

    fn children(&self, place: &str) -> Result<Vec<String>> {
        self.file_of(place).children(place)
    }

    fn attributes(&self, place: &str) -> Result<Map<String, Value>> {
        if self.loan.arrays.contains_key(place) {
            // The file may have an array of another kind in its place, or a group.
            let said = [("encoding-type", "array"), ("encoding-version", "0.2.0")];
            return Ok(said
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into_iter()
                .collect());
        }
        self.file_of(place).attributes(place)
    }

    fn stored(&self) -> u64 {
        let lent = self.loan.arrays.values().map(|array| array.bytes().len() as u64);
        let backing = self.backing.as_ref().map_or(0, |backing| backing.stored());
        self.file.stored() + backing + lent.sum::<u64>()
    }

    fn check(&self) -> Result<()> {
        self.file.check()
    }

    fn unlisted(&self) -> Vec<String> {
        self.file.unlisted()
    }
}

impl Array for Placed {
    fn shape(&self) -> &[usize] {
        &self.array.shape
    }

    fn dtype(&self) -> &Dtype {
        &self.array.dtype
    }

    fn raw(&self, rows: Range<usize>) -> Result<Vec<u8>> {
        Ok(self.array.rows(rows).to_vec())
    }

    fn texts(&self) -> Result<Vec<String>> {
        Err(Error::invalid(&self.path, &self.place, "holds numbers, expected text"))
    }

    fn text_width(&self) -> Option<usize> {
        None
    }

    fn referenced(&self, _: &[&[u8]]) -> Result<Vec<String>> {
        self.texts()
    }

    fn chunk(&self) -> Option<(usize, u64)> {
        None
    }

    fn not_numbers(&self) -> Error {
        Error::invalid(&self.path, &self.place, "holds no numbers")
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::read(&self.path, &self.place, cause)
    }

    // From the bytes where they are, not from a copy of them.
    fn floats(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        number::decode(self.dtype(), self.array.rows(rows)).ok_or_else(|| self.not_numbers())
    }

    fn integers(&self, rows: Range<usize>) -> Result<Vec<i64>> {
        number::decode(self.dtype(), self.array.rows(rows)).ok_or_else(|| self.not_numbers())
    }
}

#[cfg(feature = "h5ad")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Additions, CellSource as _, Csr, Existing, Frame, Layer, MemoryCells, Source, export,
        save_copy,
    };

    /// A file of two cells and three genes without any value.
    fn annotations(folder: &Path) -> PathBuf {
        let path = folder.join("cells.h5ad");
        let nothing = Csr::of_rows(3, [(vec![], vec![]), (vec![], vec![])]).unwrap();
        let (obs, var) = (Frame::of_names(["a", "b"]), Frame::of_names(["x", "y", "z"]));
        let mut cells = MemoryCells::of(nothing, obs, var).unwrap();
        let additions = Additions::default();
        export(&mut cells, &Layer::X, &path, &additions, Existing::Refuse).unwrap();
        path
    }

    fn array(shape: &[usize], dtype: &str, bytes: Vec<u8>) -> LentArray {
        LentArray::new(shape, dtype, Arc::new(bytes)).unwrap()
    }

    fn read(path: &Path) -> Csr {
        Source::open(path).unwrap().read(&Layer::X, 0..2).unwrap()
    }

    #[test]
    fn a_file_is_read_with_what_is_lent_to_it_while_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = annotations(folder.path());
        let values: Vec<u8> = [3.0f64, 1.5, 2.0].into_iter().flat_map(f64::to_le_bytes).collect();
        let sparse = [
            ("X/data", array(&[3], "float64", values)),
            ("X/indices", array(&[3], "uint8", vec![0, 2, 1])),
            ("X/indptr", array(&[3], "int16", [0i16, 2, 3].map(i16::to_le_bytes).concat())),
        ];
        let expected = Csr::of_rows(3, [(vec![0, 2], vec![3.0, 1.5]), (vec![1], vec![2.0])]);
        let lent = Lent::new(&path, sparse.map(|(place, array)| (place.to_owned(), array)), None);
        assert_eq!(read(&path), expected.unwrap());
        let mut open = Source::open(&path).unwrap();
        drop(lent);
        assert_eq!(read(&path).n_stored(), 0);
        assert_eq!(open.read(&Layer::X, 1..2).unwrap().row(0).values, [2.0]);

        let dense = array(&[2, 3], "bool", vec![0, 1, 1, 0, 0, 1]);
        let _lent = Lent::new(&path, [("X".to_owned(), dense)], None);
        let cells = read(&path);
        assert_eq!((cells.row(0).indices, cells.row(1).indices), (&[1, 2][..], &[2][..]));
    }

    #[test]
    fn a_copy_has_what_is_lent() {
        let folder = tempfile::tempdir().unwrap();
        let path = annotations(folder.path());
        let values = array(&[2, 3], "uint8", vec![0, 1, 2, 0, 0, 3]);
        let _lent = Lent::new(&path, [("X".to_owned(), values)], None);
        let expected = read(&path);
        for name in ["copy.h5ad", "copy.zarr"] {
            let copy = folder.path().join(name);
            save_copy(&path, &copy, &Additions::default(), Existing::Refuse).unwrap();
            let copied = Source::open(&copy).unwrap();
            assert_eq!(copied.summary().matrices[0].dtype, "uint8");
            assert_eq!(copied.summary().matrices[0].encoding, "dense");
            assert_eq!(read(&copy), expected);
        }
        assert_eq!(expected.n_stored(), 3);
    }

    #[test]
    fn a_matrix_may_stay_in_another_file() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [path, backing] = folders.each_ref().map(|folder| annotations(folder.path()));
        let values = array(&[2, 3], "uint8", vec![0, 1, 2, 0, 0, 3]);
        let _there = Lent::new(&backing, [("X".to_owned(), values)], None);
        let expected = read(&backing);
        let _lent = Lent::new(&path, [], Some(backing));
        assert_eq!(read(&path), expected);
        assert_eq!(expected.n_stored(), 3);
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        let error = |shape: &[usize], dtype: &str| {
            LentArray::new(shape, dtype, Arc::new(vec![0; 8])).unwrap_err().to_string()
        };
        assert!(error(&[8], "object").contains("expected numbers"));
        assert!(error(&[3], "int32").contains("8 bytes, expected 12"));
        assert!(LentArray::new(&[2], "float32", Arc::new(vec![0; 8])).is_ok());
    }
}
