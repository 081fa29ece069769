//! [`Weights`]: the tensors of a checkpoint file, by name, read one at a time.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use pytorch_reader::DType;
use safetensors::{Dtype, tensor::Metadata};

use super::{keys, torch};
use crate::error::{Error, Result};

/// Bytes that are read at a time, and made numbers while they are in the cache.
const PART: usize = 1 << 16;

/// The largest safetensors header that is read: names, types and shapes of 60 000 tensors.
const LARGEST_HEADER: u64 = 8 << 20;

/// An opened `.pt` or `.safetensors` file: names, shapes, and the way to each tensor's bytes.
///
/// A `.pt` file is a pickle, a small program; only the instructions that rebuild tensors are
/// understood, anything else is refused, and nothing is ever executed. Names are in the packed
/// spelling whatever layout the file has.
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_model::{ScgptConfig, Strictness, Weights};
///
/// let shape = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(60) };
/// let (folder, device) = (tempfile::tempdir()?, Device::flex());
/// let file = folder.path().join("model.safetensors");
/// shape.init(&device)?.save(&file)?;
///
/// let weights = Weights::open(&file)?;
/// assert_eq!(weights.shape("encoder.embedding.weight"), Some(&[60, 16][..]));
/// let (_model, report) = weights.load(&shape, &device, Strictness::Strict)?;
/// assert!(report.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
    /// What a safetensors file says of itself.
    about: HashMap<String, String>,
}

#[derive(Debug)]
enum Stored {
    Torch(pytorch_reader::Tensor),
    Safe { dtype: Dtype, shape: Vec<usize>, begin: u64, end: u64 },
}

impl Weights {
    /// Opens a file; its kind is found by its first bytes.
    ///
    /// # Errors
    /// If it is missing, empty, truncated, corrupt, hostile, or not a checkpoint at all.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|error| Error::read(path, error))?;
        let mut first = [0; 16];
        let n = read_up_to(&mut file, &mut first).map_err(|error| Error::read(path, error))?;
        let first = &first[..n];
        let is_safetensors = first.len() > 8 && first[8] == b'{';
        let mut about = HashMap::new();
        let tensors = match first {
            [] => return Err(Error::checkpoint(path, "the file is empty")),
            _ if first.starts_with(b"version https://") => {
                return Err(Error::checkpoint(
                    path,
                    "this is a large-file pointer, not the file it points to",
                ));
            }
            _ if is_safetensors => safetensors_index(path, file, &mut about)?,
            _ => torch::tensors(path)?
                .into_iter()
                .map(|(name, tensor)| (keys::canonical(&name), Stored::Torch(tensor)))
                .collect(),
        };
        if tensors.is_empty() {
            return Err(Error::checkpoint(path, "it holds no tensors"));
        }
        Ok(Self { path: path.into(), tensors, about })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An entry of the file's metadata, of which only safetensors have any.
    pub(super) fn about(&self, name: &str) -> Option<&str> {
        self.about.get(name).map(String::as_str)
    }

    /// Names of the tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor, in PyTorch's axis order; `None` if there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Stored::shape)
    }

    /// Number of elements of all tensors in the file.
    pub fn n_parameters(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.shape().iter().product::<usize>()).sum()
    }

    /// Elements of a tensor as f32, row-major.
    ///
    /// # Errors
    /// If it is absent, its bytes cannot be read, or it holds NaN or infinity.
    pub fn read(&self, name: &str) -> Result<Vec<f32>> {
        let bad = |problem: String| Error::checkpoint(&self.path, problem);
        let stored =
            self.tensors.get(name).ok_or_else(|| bad(format!("it has no tensor `{name}`")))?;
        let unread = |error: io::Error| bad(format!("tensor `{name}`: {error}"));
        let (dtype, length, mut bytes) = self.open_tensor(stored).map_err(unread)?;
        let mut values = Vec::with_capacity(stored.shape().iter().product());
        let mut part = vec![0; PART.min(length)];
        for begin in (0..length).step_by(PART) {
            let part = &mut part[..PART.min(length - begin)];
            bytes.read_exact(part).map_err(unread)?;
            let first = values.len();
            if !append_numbers(dtype, part, &mut values) {
                return Err(bad(format!(
                    "tensor `{name}` has element type {dtype:?}, expected a float"
                )));
            }
            // A sum over all is computed many at a time, unlike a search.
            if !values[first..].iter().fold(true, |all, value| all & value.is_finite()) {
                let index = values.iter().position(|value| !value.is_finite()).unwrap_or(first);
                let value = values[index];
                return Err(bad(format!("tensor `{name}` holds {value} at element {index}")));
            }
        }
        Ok(values)
    }

    /// The stored bytes of a tensor, little-endian and row-major, with type and shape.
    pub(super) fn raw(&self, name: &str) -> Result<(Dtype, Vec<usize>, Vec<u8>)> {
        let bad = |problem: String| Error::checkpoint(&self.path, problem);
        let stored =
            self.tensors.get(name).ok_or_else(|| bad(format!("it has no tensor `{name}`")))?;
        let unread = |error: io::Error| bad(format!("tensor `{name}`: {error}"));
        let (dtype, length, mut reader) = self.open_tensor(stored).map_err(unread)?;
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).map_err(unread)?;
        Ok((dtype, stored.shape().to_vec(), bytes))
    }

    /// Type, number of bytes, and the bytes of a tensor.
    fn open_tensor(&self, stored: &Stored) -> io::Result<(Dtype, usize, Box<dyn Read>)> {
        match stored {
            Stored::Torch(tensor) => {
                let bytes = tensor.read()?;
                Ok((safe_dtype(tensor.dtype()), bytes.len(), Box::new(io::Cursor::new(bytes))))
            }
            Stored::Safe { dtype, begin, end, .. } => {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(*begin))?;
                let length = usize::try_from(end - begin).map_err(io::Error::other)?;
                Ok((*dtype, length, Box::new(file)))
            }
        }
    }
}

impl Stored {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Torch(tensor) => tensor.shape(),
            Self::Safe { shape, .. } => shape,
        }
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match file.read(&mut buffer[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

fn safetensors_index(
    path: &Path,
    mut file: File,
    about: &mut HashMap<String, String>,
) -> Result<BTreeMap<String, Stored>> {
    let bad = |problem: String| Error::checkpoint(path, problem);
    let read = |error| Error::read(path, error);
    let length = file.metadata().map_err(read)?.len();
    let mut size = [0; 8];
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    file.read_exact(&mut size).map_err(read)?;
    let size = u64::from_le_bytes(size);
    if size > LARGEST_HEADER || size + 8 > length {
        return Err(bad(format!("its header claims {size} bytes, but the file has {length}")));
    }
    let mut header = vec![0; usize::try_from(size).map_err(|error| bad(error.to_string()))?];
    file.read_exact(&mut header).map_err(read)?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| bad(error.to_string()))?;
    about.extend(metadata.metadata().clone().unwrap_or_default());
    let data = size + 8;
    let index: BTreeMap<String, Stored> = metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let [begin, end] =
                [info.data_offsets.0, info.data_offsets.1].map(|offset| data + offset as u64);
            (
                keys::canonical(&name),
                Stored::Safe { dtype: info.dtype, shape: info.shape.clone(), begin, end },
            )
        })
        .collect();
    let end = index
        .values()
        .map(|tensor| if let Stored::Safe { end, .. } = tensor { *end } else { 0 })
        .max();
    if end.unwrap_or(data) != length {
        return Err(bad(format!(
            "its tensors end at byte {}, but the file has {length}",
            end.unwrap_or(data)
        )));
    }
    Ok(index)
}

fn safe_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// Appends bytes of a float type as f32, and says whether it is one.
fn append_numbers(dtype: Dtype, bytes: &[u8], to: &mut Vec<f32>) -> bool {
    let (twos, fours, eights) =
        (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0, bytes.as_chunks::<8>().0);
    let half = |&two: &[u8; 2]| half::f16::from_le_bytes(two).to_f32();
    let brain = |&two: &[u8; 2]| half::bf16::from_le_bytes(two).to_f32();
    #[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
    let double = |&eight: &[u8; 8]| f64::from_le_bytes(eight) as f32;
    match dtype {
        Dtype::F32 => to.extend(fours.iter().map(|&four| f32::from_le_bytes(four))),
        Dtype::F64 => to.extend(eights.iter().map(double)),
        Dtype::F16 => to.extend(twos.iter().map(half)),
        Dtype::BF16 => to.extend(twos.iter().map(brain)),
        _ => return false,
    }
    true
}
