//! Local quadratic regression of one variable on another. Own code, as genes are to be those that
//! `skmisc.loess` gives scanpy, which no crate reproduces.

/// Cells of the interpolation hold at most this share of the span.
const CELL: f64 = 0.2;

/// Fitted values of `y` at `x`: loess of degree 2 with Gaussian errors, tricube weights over the
/// `span` share of nearest points, interpolated between vertices by cubic Hermite splines.
///
/// The fit is made at the vertices only (some `2 / (span * 0.2)` of them), as Cleveland's and
/// Grosse's `loess` does with `surface = "interpolate"`, the default of `skmisc.loess` that scanpy uses.
/// Differs: where neighbours coincide so that a quadratic cannot be fitted, the degree is lowered.
pub(super) fn loess(x: &[f64], y: &[f64], span: f64) -> Vec<f64> {
    if x.is_empty() {
        return Vec::new();
    }
    let mut points: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
    points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let n = points.len() as f64;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the number of points"
    )]
    let [neighbours, cell] = [n * span + 1e-5, n * span * CELL].map(|share| share as usize);
    let neighbours = neighbours.max(3).min(points.len());
    let knots: Vec<Knot> =
        vertices(&points, cell.max(1)).into_iter().map(|at| fit(&points, neighbours, at)).collect();
    x.iter().map(|&x| interpolate(&knots, x)).collect()
}

/// Position, value and slope of the fit at a vertex.
#[derive(Clone, Copy, Debug)]
struct Knot {
    at: f64,
    value: f64,
    slope: f64,
}

/// Ends of the cells: the range, a little expanded, cut at medians until no cell holds more than
/// `most` points.
fn vertices(points: &[(f64, f64)], most: usize) -> Vec<f64> {
    let [low, high] = [points[0].0, points[points.len() - 1].0];
    let margin = 0.005 * (high - low).max(1e-10 * low.abs().max(high.abs()) + 1e-30);
    let mut vertices = vec![low - margin, high + margin];
    let mut cells = vec![points];
    while let Some(cell) = cells.pop() {
        if cell.len() <= most {
            continue;
        }
        let cut = untied((cell.len() - 1) / 2, cell);
        let at = cell[cut].0;
        if !vertices.contains(&at) {
            vertices.push(at);
            let (left, right) = cell.split_at(cut + 1);
            cells.extend([left, right]);
        }
    }
    vertices.sort_unstable_by(f64::total_cmp);
    vertices
}

/// The place nearest to `middle` (right before left) whose successor differs; `middle` if that
/// search meets an end first.
fn untied(middle: usize, cell: &[(f64, f64)]) -> usize {
    let mut distance = 0;
    loop {
        for place in [middle.checked_add(distance), middle.checked_sub(distance)] {
            match place {
                Some(place) if place + 1 < cell.len() => {
                    if cell[place].0 < cell[place + 1].0 {
                        return place;
                    }
                }
                _ => return middle,
            }
        }
        distance += 1;
    }
}

/// Weighted least squares of a quadratic around `at`.
fn fit(points: &[(f64, f64)], neighbours: usize, at: f64) -> Knot {
    // The window of nearest points: its right end must be nearer than its left neighbour.
    let begin = partition(points.len() - neighbours, |begin| {
        at - points[begin].0 > points[begin + neighbours].0 - at
    });
    let window = &points[begin..begin + neighbours];
    let width = (at - window[0].0).abs().max((window[neighbours - 1].0 - at).abs());
    // In units of the width the powers 1, u, u² are far from collinear.
    let width = if width > 0.0 { width } else { 1.0 };
    let tricube = |u: f64| (1.0 - u.abs().powi(3)).max(0.0).powi(3);
    // Points that all lie at the edge of the window have no weight: they count alike then.
    let is_edge = window.iter().all(|&(x, _)| tricube((x - at) / width) == 0.0);

    let [mut powers, mut targets] = [[0.0; 5], [0.0; 5]];
    for &(x, y) in window {
        let u = (x - at) / width;
        let mut term = if is_edge { 1.0 } else { tricube(u) };
        for power in 0..5 {
            powers[power] += term;
            targets[power] += term * y;
            term *= u;
        }
    }
    let [value, slope, _] = solve(&powers, &targets);
    Knot { at, value, slope: slope / width }
}

/// Coefficients of the quadratic with these weighted sums of `u^k` and `y·u^k`; of a polynomial of
/// lower degree where the points do not determine a quadratic.
fn solve(powers: &[f64; 5], targets: &[f64; 5]) -> [f64; 3] {
    let mut rows = [0, 1, 2].map(|i| [powers[i], powers[i + 1], powers[i + 2], targets[i]]);
    let mut size = 0;
    while size < 3 && rows[size][size] > 1e-12 * powers[2 * size] {
        let pivot = rows[size];
        for row in &mut rows[size + 1..] {
            let share = row[size] / pivot[size];
            for (entry, of_pivot) in row.iter_mut().zip(pivot) {
                *entry -= share * of_pivot;
            }
        }
        size += 1;
    }
    let mut coefficients = [0.0; 3];
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|j| rows[i][j] * coefficients[j]).sum();
        coefficients[i] = (rows[i][3] - known) / rows[i][i];
    }
    coefficients
}

/// The first of `0..n` that `holds` rejects; `n` if none.
fn partition(n: usize, holds: impl Fn(usize) -> bool) -> usize {
    let [mut low, mut high] = [0, n];
    while low < high {
        let middle = usize::midpoint(low, high);
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The cubic through values and slopes of the two knots around `x`.
fn interpolate(knots: &[Knot], x: f64) -> f64 {
    let right = knots.partition_point(|knot| knot.at <= x).clamp(1, knots.len() - 1);
    let [a, b] = [knots[right - 1], knots[right]];
    let width = b.at - a.at;
    let t = (x - a.at) / width;
    let s = 1.0 - t;
    a.value * s * s * (1.0 + 2.0 * t)
        + b.value * t * t * (3.0 - 2.0 * t)
        + width * s * t * (a.slope * s - b.slope * t)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;

    #[test]
    fn a_quadratic_is_its_own_fit() {
        let x: Vec<f64> = (0..200).map(|i| f64::from(i) * 0.05).collect();
        let y: Vec<f64> = x.iter().map(|x| 1.0 + 2.0 * x - 0.5 * x * x).collect();
        for (fitted, y) in loess(&x, &y, 0.3).iter().zip(&y) {
            assert!((fitted - y).abs() < 1e-10, "{fitted} {y}");
        }
    }

    #[test]
    fn values_of_skmisc_loess() {
        // Values that tie, so that cuts move off ties.
        let x: Vec<f64> = (0..120).map(|i| f64::from(i * i % 97) / 10.0).collect();
        let y: Vec<f64> =
            x.iter().zip(0..).map(|(x, i)| x.sin() + f64::from(i % 5) / 10.0).collect();
        let fitted = loess(&x, &y, 0.3);
        for (point, expected) in [
            (0, 0.127_485_715_582_521_34),
            (2, 0.618_584_038_870_966_2),
            (7, -0.810_289_993_053_352_8),
            (30, 0.590_635_591_134_733),
            (60, 1.099_540_635_297_157_7),
            (100, 1.008_373_975_681_63),
        ] {
            assert!((fitted[point] - expected).abs() < 1e-12, "{point}: {}", fitted[point]);
        }
    }

    #[test]
    fn points_that_coincide_do_not_break_the_fit() {
        for n in [1, 2, 3, 10] {
            let fitted = loess(&vec![2.0; n], &vec![5.0; n], 0.3);
            assert!(fitted.iter().all(|y| (y - 5.0).abs() < 1e-12), "{n}: {fitted:?}");
        }
        assert!(loess(&[], &[], 0.3).is_empty());
        let x: Vec<f64> = (0..60).map(|i| f64::from(i / 20)).collect();
        assert!(loess(&x, &x, 0.3).iter().zip(&x).all(|(y, x)| (y - x).abs() < 1e-9));
    }

    #[test]
    fn the_cut_avoids_ties() {
        let cell: Vec<(f64, f64)> = [1.0, 1.0, 1.0, 2.0].map(|x| (x, 0.0)).to_vec();
        assert_eq!(untied(1, &cell), 2);
        let cell: Vec<(f64, f64)> = [1.0, 2.0, 2.0, 2.0, 3.0].map(|x| (x, 0.0)).to_vec();
        assert_eq!(untied(1, &cell), 0);
    }
}
