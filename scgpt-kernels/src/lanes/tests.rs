use super::*;
use crate::numbers::Numbers;

/// Numbers of all sizes, and those that are special.
fn special() -> Vec<Sixteen> {
    let mut numbers = Numbers::new(1);
    let mut all: Vec<f32> = numbers.normals(240);
    all.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, -1e-40, 3.4e38]);
    all.extend([-126.5, -149.0, -150.5, -300.0, 1.0, 100.25, f32::MIN_POSITIVE, -3.399e38]);
    all.as_chunks().0.to_vec()
}

fn bits(x: Sixteen) -> [u32; 16] {
    x.map(|x| if x.is_nan() { f32::NAN } else { x }.to_bits())
}

/// Compares a set with portable lanes, operation by operation.
fn equals_portable<L: Lanes>(lanes: L) {
    let run = |f: &dyn Fn(L::F, L::F) -> L::F, [a, b]: [&Sixteen; 2]| {
        let mut out = [0.0; 16];
        lanes.store(f(lanes.load(a), lanes.load(b)), &mut out);
        out
    };
    let p = Portable;
    let all = special();
    for a in &all {
        for b in &all {
            let same = |name: &str, ours: Sixteen, theirs: Sixteen| {
                assert_eq!(bits(ours), bits(theirs), "{name} of {a:?} and {b:?}");
            };
            let (x, y) = (*a, *b);
            same("add", run(&|a, b| lanes.add(a, b), [a, b]), p.add(x, y));
            same("sub", run(&|a, b| lanes.sub(a, b), [a, b]), p.sub(x, y));
            same("mul", run(&|a, b| lanes.mul(a, b), [a, b]), p.mul(x, y));
            same("max", run(&|a, b| lanes.max(a, b), [a, b]), p.max(x, y));
            same("mul_add", run(&|a, b| lanes.mul_add(a, b, a), [a, b]), p.mul_add(x, y, x));
            let greater = run(&|a, b| lanes.if_greater([a, b], a, lanes.splat(7.0)), [a, b]);
            same("if_greater", greater, p.if_greater([x, y], x, [7.0; 16]));
            assert_eq!(lanes.any_greater(lanes.load(a), lanes.load(b)), p.any_greater(x, y));
        }
        let same = |name: &str, ours: Sixteen, theirs: Sixteen| {
            assert_eq!(bits(ours), bits(theirs), "{name} of {a:?}");
        };
        same("exp2", run(&|a, _| lanes.exp2::<true>(a), [a, a]), p.exp2::<true>(*a));
        same("exp2", run(&|a, _| lanes.exp2::<false>(a), [a, a]), p.exp2::<false>(*a));
        let sums = [lanes.sum(lanes.load(a)), p.sum(*a)].map(|x| bits([x; 16]));
        assert_eq!(sums[0], sums[1]);
    }
    let mut rows = [lanes.splat(0.0); 16];
    let from: [Sixteen; 16] = std::array::from_fn(|i| all[i]);
    for (row, from) in rows.iter_mut().zip(&from) {
        *row = lanes.load(from);
    }
    lanes.transpose(&mut rows);
    for (i, row) in rows.into_iter().enumerate() {
        let mut out = [0.0; 16];
        lanes.store(row, &mut out);
        assert_eq!(bits(out), bits(from.map(|row| row[i])));
    }
}

#[test]
fn sets_have_the_bits_of_portable_lanes() {
    equals_portable(Portable);
    #[cfg(target_arch = "x86_64")]
    {
        match Avx2::detect() {
            Some(lanes) => equals_portable(lanes),
            None => eprintln!("skipped: this processor has no AVX2"),
        }
        match Avx512::detect() {
            Some(lanes) => equals_portable(lanes),
            None => eprintln!("skipped: this processor has no AVX-512"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn halves_have_the_bits_of_portable_ones() {
    let (Some(lanes), Some(halves)) = (Avx512::detect(), Avx512Halves::detect()) else {
        eprintln!("skipped: this processor has no bf16 conversions");
        return;
    };
    let out = |x| {
        let mut out = [0.0; 16];
        lanes.store(x, &mut out);
        out.map(f32::to_bits)
    };
    for a in &special() {
        for b in &special() {
            let x = halves.round(lanes, lanes.load(a), lanes.load(b));
            let y = Portable.round(Portable, *a, *b);
            assert_eq!(out(x), y.map(f32::to_bits), "{a:?} {b:?}");
            let inter = halves.interleave(lanes, x);
            assert_eq!(out(inter), Portable.interleave(Portable, y).map(f32::to_bits));
            let wide = halves.widen(lanes, x).map(out);
            assert_eq!(wide, Portable.widen(Portable, y).map(|x| x.map(f32::to_bits)));
        }
    }
}

#[test]
fn rounding_is_to_the_nearest() {
    let mut numbers = Numbers::new(2);
    for _ in 0..200 {
        let x: Sixteen = std::array::from_fn(|_| numbers.normals(1)[0]);
        let [low, high] = Portable.widen(Portable, Portable.round(Portable, x, x));
        assert_eq!(low, high);
        for (x, y) in x.iter().zip(low) {
            assert!((x - y).abs() <= x.abs() / 256.0, "{x} {y}");
        }
    }
    let tie = Portable.round(Portable, [1.0 + 1.0 / 256.0; 16], [1.0 + 3.0 / 256.0; 16]);
    let [low, high] = Portable.widen(Portable, tie);
    assert_eq!([low[0], high[0]], [1.0, 1.0 + 4.0 / 256.0], "ties go to the even one");
}

#[test]
fn exponentials_are_accurate() {
    let mut x = -125.0_f32;
    while x < 8.0 {
        let expected = f64::from(x).exp2();
        for (exact, y) in
            [(true, Portable.exp2::<true>([x; 16])), (false, Portable.exp2::<false>([x; 16]))]
        {
            let error = (f64::from(y[0]) - expected).abs() / expected;
            assert!(error < if exact { 2.5e-7 } else { 8e-5 }, "2^{x}: {error}");
        }
        x += 0.013;
    }
    assert_eq!(Portable.exp2::<true>([f32::NEG_INFINITY; 16]), [0.0; 16]);
    assert!(Portable.exp2::<true>([f32::NAN; 16])[3].is_nan());
}
