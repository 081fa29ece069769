//! Numbers from the little-endian bytes of elements, one place for all containers.

use half::f16;

use crate::anndata::dtype::Dtype;

/// A type that stored numbers are read as.
pub(crate) trait Target: Copy {
    fn of_i64(value: i64) -> Self;
    fn of_u64(value: u64) -> Self;
    fn of_f64(value: f64) -> Self;
}

impl Target for i64 {
    fn of_i64(value: i64) -> Self {
        value
    }

    /// Numbers of 2⁶³ and more become the largest there is.
    fn of_u64(value: u64) -> Self {
        Self::try_from(value).unwrap_or(Self::MAX)
    }

    #[allow(clippy::cast_possible_truncation, reason = "rounding to the type asked for")]
    fn of_f64(value: f64) -> Self {
        value as Self
    }
}

macro_rules! float_target {
    ($float:ty) => {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_lossless,
            reason = "rounding to the type asked for"
        )]
        impl Target for $float {
            fn of_i64(value: i64) -> Self {
                value as Self
            }

            fn of_u64(value: u64) -> Self {
                value as Self
            }

            fn of_f64(value: f64) -> Self {
                value as Self
            }
        }
    };
}

float_target!(f32);
float_target!(f64);

/// The numbers in the little-endian `bytes` of elements of type `dtype`; `None` if it is not one of
/// numbers or truth values.
pub(crate) fn decode<T: Target>(dtype: &Dtype, bytes: &[u8]) -> Option<Vec<T>> {
    macro_rules! each {
        ($stored:ty, $convert:expr) => {{
            let elements = bytes.as_chunks::<{ size_of::<$stored>() }>().0.iter();
            elements.map(|&element| $convert(<$stored>::from_le_bytes(element))).collect()
        }};
    }
    Some(match dtype.name() {
        "bool" => bytes.iter().map(|&byte| T::of_i64((byte != 0).into())).collect(),
        "int8" => each!(i8, |value| T::of_i64(i64::from(value))),
        "int16" => each!(i16, |value| T::of_i64(i64::from(value))),
        "int32" => each!(i32, |value| T::of_i64(i64::from(value))),
        "int64" => each!(i64, T::of_i64),
        "uint8" => each!(u8, |value| T::of_u64(u64::from(value))),
        "uint16" => each!(u16, |value| T::of_u64(u64::from(value))),
        "uint32" => each!(u32, |value| T::of_u64(u64::from(value))),
        "uint64" => each!(u64, T::of_u64),
        "float16" => each!(f16, |value| T::of_f64(f64::from(value))),
        "float32" => each!(f32, |value| T::of_f64(f64::from(value))),
        "float64" => each!(f64, T::of_f64),
        _ => return None,
    })
}

/// Whole numbers of eight bytes without a sign.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|&element| u64::from_le_bytes(element)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_type() {
        let of = |name: &str, bytes: &[u8]| decode::<i64>(&Dtype::named(name), bytes);
        assert_eq!(of("int8", &[0xff, 3]), Some(vec![-1, 3]));
        assert_eq!(of("uint8", &[0xff, 3]), Some(vec![255, 3]));
        assert_eq!(of("bool", &[0, 2]), Some(vec![0, 1]));
        assert_eq!(of("uint64", &u64::MAX.to_le_bytes()), Some(vec![i64::MAX]));
        assert_eq!(of("complex64", &[0; 8]), None);
        let half = f16::from_f32(0.5).to_le_bytes();
        assert_eq!(decode::<f32>(&Dtype::named("float16"), &half), Some(vec![0.5]));
        assert_eq!(unsigned(&u64::MAX.to_le_bytes()), [u64::MAX]);
    }
}
