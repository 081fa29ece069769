//! Products of strided matrices inside slices.

use gemm::Parallelism;

/// A strided matrix: its elements, column stride, row stride.
pub(super) type Strided<'a> = (&'a [f32], usize, usize);

/// What becomes of the numbers that `out` held before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Earlier {
    Replaced,
    AddedTo,
}

/// `out = scale · left · right`, `[m, n] = [m, k] · [k, n]`; `out` has unit columns.
pub(super) fn product(
    shape: [usize; 3],
    out: (&mut [f32], usize),
    scale: f32,
    left: Strided,
    right: Strided,
) {
    gemm(shape, out, Earlier::Replaced, scale, left, right);
}

/// As [`product`], but adds to `out`.
pub(super) fn add_product(
    shape: [usize; 3],
    out: (&mut [f32], usize),
    scale: f32,
    left: Strided,
    right: Strided,
) {
    gemm(shape, out, Earlier::AddedTo, scale, left, right);
}

#[allow(
    unsafe_code,
    clippy::cast_possible_wrap,
    reason = "the product is a call by pointer; bounds are asserted first"
)]
fn gemm(
    [m, n, k]: [usize; 3],
    (out, out_row): (&mut [f32], usize),
    earlier: Earlier,
    scale: f32,
    (left, left_column, left_row): Strided,
    (right, right_column, right_row): Strided,
) {
    let span = |rows: usize, row: usize, columns: usize, column: usize| {
        (rows - 1) * row + (columns - 1) * column
    };
    assert!(m > 0 && n > 0 && k > 0, "empty product");
    assert!(span(m, out_row, n, 1) < out.len(), "out is too short");
    assert!(span(m, left_row, k, left_column) < left.len(), "left is too short");
    assert!(span(k, right_row, n, right_column) < right.len(), "right is too short");
    // SAFETY: the assertions above keep every access of the product inside its slice, and `out` is
    // borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_row as isize,
            earlier == Earlier::AddedTo,
            left.as_ptr(),
            left_column as isize,
            left_row as isize,
            right.as_ptr(),
            right_column as isize,
            right_row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
