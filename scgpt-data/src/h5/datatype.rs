//! Element types of HDF5 arrays, brought to the names of NumPy as h5py does.
//!
//! ```text
//! integers of 1, 2, 4, 8 bytes     int8 … uint64     those of fewer bits if no sign is among them
//! bit fields                       uint8 … uint64
//! floating point, IEEE             float16, float32, float64
//! enumeration FALSE = 0, TRUE = 1  bool              any other: the integers it stands for
//! text of fixed or any length      text
//! compound of `r` and `i`          complex64, complex128
//! compound                         records, field by field
//! opaque, references, lists        not read, and named in the error
//! ```
//!
//! Types are told apart here once, when a dataset is looked at. Bytes of numbers are turned to
//! little-endian when they are read, those of records are not: their fields say themselves in which
//! order they are.

use hdf5_pure::{Datatype, DatatypeByteOrder, FixedPointLayout, StringPadding};

use crate::anndata::store::{Dtype, Field, FieldKind};

/// How the elements of an array are stored.
pub(super) struct Stored {
    /// What its values are to a reader.
    pub(super) dtype: Dtype,
    /// Bytes whose order is reversed, where the file has the most significant one first.
    pub(super) reversed: Option<usize>,
    pub(super) text: TextForm,
}

/// How text is stored.
pub(super) enum TextForm {
    /// Not at all.
    No,
    /// In the global heap.
    Heap,
    /// In the elements, of so many bytes each.
    Fixed(usize, Padding),
}

/// What fills text of fixed width up.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Padding {
    /// A zero and whatever comes behind it.
    Terminated,
    Zeros,
    Spaces,
}

/// What is stored in elements of `datatype`.
///
/// A type that is not known is [`Dtype::Other`], whose name says in an error what was found.
pub(super) fn of(datatype: &Datatype) -> Stored {
    let number = |dtype: Dtype, order: &DatatypeByteOrder, size: u32| Stored {
        dtype,
        reversed: (*order == DatatypeByteOrder::BigEndian && size > 1).then_some(size as usize),
        text: TextForm::No,
    };
    let other =
        |what: String| Stored { dtype: Dtype::Other(what), reversed: None, text: TextForm::No };
    match datatype {
        Datatype::FixedPoint { size, byte_order, layout } => match integer(*size, *layout) {
            Some(dtype) => number(dtype, byte_order, *size),
            None => other(format!("integers of {} bits", layout.bit_precision)),
        },
        Datatype::BitField { size, byte_order, bit_offset: 0, .. } => {
            match Dtype::named(&format!("uint{}", bits(*size))) {
                dtype @ Dtype::Integer(_) => number(dtype, byte_order, *size),
                _ => other(format!("bit fields of {size} bytes")),
            }
        }
        Datatype::FloatingPoint { size, byte_order, layout } => {
            let is_plain = matches!((size, layout.mantissa_size), (2, 10) | (4, 23) | (8, 52));
            if is_plain && *byte_order != DatatypeByteOrder::Vax {
                number(Dtype::Float(format!("float{}", bits(*size))), byte_order, *size)
            } else {
                other(format!("floating-point numbers of {size} bytes"))
            }
        }
        // As h5py reads it: truth values, and the codes of any other enumeration.
        Datatype::Enumeration { base_type, .. } => {
            let codes = of(base_type);
            if is_boolean(datatype) { Stored { dtype: Dtype::Boolean, ..codes } } else { codes }
        }
        Datatype::String { size, padding, .. } => Stored {
            dtype: Dtype::Text,
            reversed: None,
            text: TextForm::Fixed(
                *size as usize,
                match padding {
                    StringPadding::NullTerminate => Padding::Terminated,
                    StringPadding::NullPad => Padding::Zeros,
                    StringPadding::SpacePad => Padding::Spaces,
                },
            ),
        },
        Datatype::VariableLength { is_string: true, .. } => {
            Stored { dtype: Dtype::Text, reversed: None, text: TextForm::Heap }
        }
        Datatype::VariableLength { .. } => other("lists of any length".into()),
        Datatype::Compound { members, size } => {
            let fields: Vec<Field> = members
                .iter()
                .map(|member| {
                    let (kind, big_endian, length) = field_kind(&member.datatype);
                    Field {
                        name: member.name.clone(),
                        offset: usize::try_from(member.byte_offset).unwrap_or(usize::MAX),
                        size: member.datatype.type_size() as usize,
                        length,
                        big_endian,
                        kind,
                    }
                })
                .collect();
            match complex(&fields, *size) {
                Some((dtype, reversed)) => Stored { dtype, reversed, text: TextForm::No },
                None => {
                    Stored { dtype: Dtype::Records(fields), reversed: None, text: TextForm::No }
                }
            }
        }
        Datatype::Opaque { size, .. } => other(format!("opaque values of {size} bytes")),
        Datatype::Reference { .. } => other("references within the file".into()),
        Datatype::Array { .. } => other("lists in every element".into()),
        Datatype::BitField { size, .. } => other(format!("bit fields of {size} bytes")),
        _ => other("a type that is not known".into()),
    }
}

/// The bits of so many bytes.
fn bits(bytes: u32) -> u64 {
    u64::from(bytes) * 8
}

/// Whole numbers whose unused bits, if any, are zero.
///
/// A signed number of 12 bits in 16 would have to be extended by its sign, and is not read.
fn integer(size: u32, layout: FixedPointLayout) -> Option<Dtype> {
    let is_whole = u64::from(layout.bit_precision) == bits(size);
    let sign = if layout.signed { "" } else { "u" };
    let dtype = Dtype::named(&format!("{sign}int{}", bits(size)));
    let fits = layout.bit_offset == 0 && (is_whole || !layout.signed);
    (fits && matches!(dtype, Dtype::Integer(_))).then_some(dtype)
}

/// What h5py writes for NumPy truth values.
///
/// The order of the two members does not matter, their values do.
fn is_boolean(datatype: &Datatype) -> bool {
    let Datatype::Enumeration { size: 1, members, .. } = datatype else {
        return false;
    };
    let has =
        |name: &str, value: u8| members.iter().any(|it| it.name == name && it.value == [value]);
    members.len() == 2 && has("FALSE", 0) && has("TRUE", 1)
}

/// What h5py writes for complex numbers: their parts `r` and `i`. The byte order is that of the parts.
///
/// `None` for any other record, which is then read field by field.
fn complex(fields: &[Field], size: u32) -> Option<(Dtype, Option<usize>)> {
    let [real, imaginary] = fields else {
        return None;
    };
    let is_part = |field: &Field, name: &str, offset: usize| {
        field.name == name
            && field.kind == FieldKind::Float
            && field.length == 1
            && field.offset == offset
            && field.size == real.size
            && field.big_endian == real.big_endian
    };
    let is_complex = is_part(real, "r", 0) && is_part(imaginary, "i", real.size);
    match Dtype::named(&format!("complex{}", bits(size))) {
        dtype @ Dtype::Complex(_) if is_complex => {
            Some((dtype, real.big_endian.then_some(real.size)))
        }
        _ => None,
    }
}

/// Kind of the values of a field, whether they are big-endian, and how many there are.
///
/// A field of text of any length is a reference, to be looked up in the heap; for a list, kind and
/// order are those of its elements, and the length is the product of its dimensions.
fn field_kind(datatype: &Datatype) -> (FieldKind, bool, usize) {
    let big = |order: &DatatypeByteOrder| *order == DatatypeByteOrder::BigEndian;
    match datatype {
        Datatype::FixedPoint { byte_order, layout, size } => match integer(*size, *layout) {
            Some(_) if layout.signed => (FieldKind::Signed, big(byte_order), 1),
            Some(_) => (FieldKind::Unsigned, big(byte_order), 1),
            None => (FieldKind::Other, false, 1),
        },
        Datatype::FloatingPoint { byte_order, .. } => match of(datatype).dtype {
            Dtype::Float(_) => (FieldKind::Float, big(byte_order), 1),
            _ => (FieldKind::Other, false, 1),
        },
        Datatype::String { .. } => (FieldKind::Text, false, 1),
        Datatype::VariableLength { is_string: true, .. } => (FieldKind::Reference, false, 1),
        Datatype::Enumeration { .. } if is_boolean(datatype) => (FieldKind::Boolean, false, 1),
        Datatype::Enumeration { base_type, .. } => field_kind(base_type),
        Datatype::Array { base_type, dimensions } => {
            let (kind, big_endian, _) = field_kind(base_type);
            let length = dimensions
                .iter()
                .fold(1, |all: usize, &length| all.saturating_mul(length as usize));
            (kind, big_endian, length)
        }
        _ => (FieldKind::Other, false, 1),
    }
}
