//! Invariants of binning, tokens and collation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::float_cmp,
    reason = "a test fails by panicking, says what it compared, and compares exact numbers"
)]

use proptest::{collection::vec, prelude::*};
use scgpt_data::{
    BinScratch, Binner, CellTokens, Collator, Csr, CsrRow, Frame, GeneNames, GeneVocab, Keyed,
    Purpose, Sampling, SpecialToken, ThinnedCell, TieMode, TokenConfig, Tokenizer, buckets,
};

/// Values of a cell as counts are: many zeros, few distinct values, now and then a large one.
fn counts() -> impl Strategy<Value = Vec<f32>> {
    let count = prop_oneof![5 => Just(0_u16), 6 => 1..4_u16, 2 => 4..40_u16, 1 => 40..5000_u16];
    vec(count.prop_map(f32::from), 0..120)
}

fn mode() -> impl Strategy<Value = TieMode> {
    prop_oneof![Just(TieMode::Upper), Just(TieMode::Random), Just(TieMode::Midpoint)]
}

fn bin(n_bins: u16, mode: TieMode, values: &[f32], draw: impl Fn(usize) -> f64) -> Vec<f32> {
    let mut bins = values.to_vec();
    Binner::new(n_bins, mode).unwrap().bin(&mut bins, draw, &mut BinScratch::default());
    bins
}

proptest! {
    #[test]
    fn zeros_are_bin_0_and_other_values_are_bins_above(
        values in counts(), n_bins in 2..60_u16, mode in mode(), seed: u64,
    ) {
        let key = Keyed::new(seed, Purpose::BinTie, 0, 0);
        let bins = bin(n_bins, mode, &values, |position| key.uniform(position as u64));
        for (value, bin) in values.iter().zip(&bins) {
            prop_assert_eq!(*value == 0.0, *bin == 0.0);
            prop_assert!(*bin < f32::from(n_bins) && bin.fract() == 0.0);
        }
    }

    #[test]
    fn bins_rise_with_the_values(values in counts(), n_bins in 2..60_u16, mode in mode()) {
        // With one draw for all, ties share a bin and no mode breaks the order.
        let bins = bin(n_bins, mode, &values, |_| 0.5);
        for (a, x) in values.iter().zip(&bins) {
            for (b, y) in values.iter().zip(&bins) {
                prop_assert!(a > b || x <= y);
            }
        }
    }

    #[test]
    fn scaling_a_cell_changes_no_bin(values in counts(), power in -8..8_i32) {
        // Powers of two are exact, so edges scale exactly.
        let scaled: Vec<f32> = values.iter().map(|x| x * 2_f32.powi(power)).collect();
        for mode in [TieMode::Upper, TieMode::Midpoint] {
            prop_assert_eq!(bin(51, mode, &values, |_| 0.0), bin(51, mode, &scaled, |_| 0.0));
        }
    }

    #[test]
    fn binning_commutes_with_permutation(
        (values, order) in counts().prop_flat_map(|values| {
            let order: Vec<usize> = (0..values.len()).collect();
            (Just(values), Just(order).prop_shuffle())
        }),
    ) {
        let permuted: Vec<f32> = order.iter().map(|&position| values[position]).collect();
        let bins = bin(51, TieMode::Upper, &values, |_| 0.0);
        let expected: Vec<f32> = order.iter().map(|&position| bins[position]).collect();
        prop_assert_eq!(bin(51, TieMode::Upper, &permuted, |_| 0.0), expected);
    }

    #[test]
    fn random_bins_lie_in_the_range_of_the_edges(values in counts(), seed: u64) {
        let key = Keyed::new(seed, Purpose::BinTie, 0, 0);
        let upper = bin(51, TieMode::Upper, &values, |_| 0.0);
        let lower = bin(51, TieMode::Random, &values, |_| 1.0 - f64::EPSILON / 2.0);
        let random = bin(51, TieMode::Random, &values, |position| key.uniform(position as u64));
        for ((low, high), bin) in lower.iter().zip(&upper).zip(&random) {
            prop_assert!(low <= bin && bin <= high);
        }
    }
}

/// Cells of 120 genes, every third of which is not in the vocabulary.
fn block() -> impl Strategy<Value = Csr> {
    vec(counts(), 1..20).prop_map(|cells| {
        let mut indptr = vec![0];
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        for cell in cells {
            indices.extend((0_u32..).take(cell.len()));
            values.extend(cell);
            indptr.push(indices.len());
        }
        Csr::new(120, indptr, indices, values).unwrap()
    })
}

fn vocab() -> GeneVocab {
    GeneVocab::from_names((0..120).filter(|gene| gene % 3 != 0).map(|gene| format!("g{gene}")))
        .unwrap()
}

fn tokenizer(config: TokenConfig) -> Tokenizer {
    let vocab = vocab();
    let var =
        Frame { index: (0..120).map(|gene| format!("g{gene}")).collect(), ..Frame::default() };
    let alignment = vocab.align(&var, &GeneNames::BEST).unwrap();
    Tokenizer::new(&vocab, &alignment, config).unwrap()
}

fn config() -> impl Strategy<Value = TokenConfig> {
    let sampling = prop_oneof![Just(Sampling::Keyed), Just(Sampling::Head)];
    (mode(), any::<bool>(), 2..100_usize, sampling, any::<u64>()).prop_map(
        |(tie_mode, include_zero_genes, max_length, sampling, seed)| TokenConfig {
            binner: Some(Binner { tie_mode, ..Binner::default() }),
            include_zero_genes,
            max_length,
            sampling,
            seed,
            ..TokenConfig::default()
        },
    )
}

/// Tokens of all cells, read `chunk` cells at a time on `threads` threads.
fn tokens(tokenizer: &Tokenizer, block: &Csr, chunk: usize, threads: usize) -> Vec<CellTokens> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        (0..block.n_cells())
            .step_by(chunk)
            .flat_map(|first| {
                let last = (first + chunk).min(block.n_cells());
                let begin = block.indptr()[first];
                let entries = begin..block.indptr()[last];
                let part = Csr::new(
                    block.n_genes(),
                    block.indptr()[first..=last].iter().map(|offset| offset - begin).collect(),
                    block.indices()[entries.clone()].to_vec(),
                    block.values()[entries].to_vec(),
                );
                tokenizer.block(&part.unwrap())
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tokens_do_not_depend_on_chunks_or_threads(
        block in block(), config in config(), chunk in 1..8_usize,
    ) {
        let tokenizer = tokenizer(config);
        prop_assert_eq!(tokens(&tokenizer, &block, 100, 2), tokens(&tokenizer, &block, chunk, 1));
    }

    #[test]
    fn tokens_do_not_depend_on_the_place_of_a_cell(
        block in block(), config in config(), seed: u64,
    ) {
        // The cells in another order, and the columns of all of them, too.
        let shuffled = |n: usize, about: u64| {
            let key = Keyed::new(seed, Purpose::Simulate, about, 0);
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&place| key.bits(place as u64));
            order
        };
        let (cells, genes) = (shuffled(block.n_cells(), 0), shuffled(block.n_genes(), 1));
        let mut place = vec![0; genes.len()];
        for (at, &gene) in genes.iter().enumerate() {
            place[gene] = u32::try_from(at).unwrap();
        }
        let mut rows: Vec<(Vec<u32>, Vec<f32>)> = Vec::new();
        for &cell in &cells {
            let row = block.row(cell);
            let mut entries: Vec<(u32, f32)> =
                row.indices.iter().map(|&gene| place[gene as usize]).zip(row.values.iter().copied()).collect();
            entries.sort_unstable_by_key(|entry| entry.0);
            rows.push(entries.into_iter().unzip());
        }
        let mut indptr = vec![0];
        indptr.extend(rows.iter().scan(0, |end, row| { *end += row.0.len(); Some(*end) }));
        let moved = Csr::new(
            block.n_genes(),
            indptr,
            rows.iter().flat_map(|row| row.0.iter().copied()).collect(),
            rows.iter().flat_map(|row| row.1.iter().copied()).collect(),
        ).unwrap();
        let names = genes.iter().map(|gene| format!("g{gene}")).collect();
        let var = Frame { index: names, ..Frame::default() };
        // Of genes in another order, the first are others.
        let config = TokenConfig { sampling: Sampling::Keyed, ..config };
        let of_moved = Tokenizer::new(&vocab(), &vocab().align(&var, &GeneNames::BEST).unwrap(), config.clone());
        let sorted = |cell: &CellTokens| {
            let mut tokens: Vec<(u32, u32)> = cell.genes.iter().map(|gene| gene.0)
                .zip(cell.values.iter().map(|value| value.to_bits())).collect();
            tokens.sort_unstable();
            tokens
        };
        let before = tokens(&tokenizer(config), &block, 100, 1);
        for (found, &cell) in tokens(&of_moved.unwrap(), &moved, 3, 1).iter().zip(&cells) {
            prop_assert_eq!(sorted(found), sorted(&before[cell]));
            prop_assert_eq!(found.content(), before[cell].content());
        }
    }

    #[test]
    fn every_cell_is_cls_and_distinct_genes_within_the_length(
        block in block(), config in config(),
    ) {
        let vocab = vocab();
        let max_length = config.max_length;
        let tokenizer = tokenizer(config);
        for cell in tokens(&tokenizer, &block, 100, 1) {
            prop_assert_eq!(cell.genes[0], vocab.special(SpecialToken::Cls));
            prop_assert_eq!(cell.values[0], -2.0);
            prop_assert_eq!(cell.len(), max_length.min(1 + cell.n_available));
            let mut genes = cell.genes.clone();
            genes.sort_unstable();
            genes.dedup();
            prop_assert_eq!(genes.len(), cell.len());
            prop_assert!(cell.genes[1..].iter().all(|&gene| !vocab.is_special(gene)));
        }
    }

    #[test]
    fn sampling_takes_values_from_the_whole_cell(block in block(), config in config()) {
        // Binning sees all genes: a shortened cell is a part of the whole one.
        let whole = tokenizer(TokenConfig { max_length: 1000, ..config.clone() });
        let short = tokenizer(config);
        let pairs = tokens(&whole, &block, 100, 1).into_iter().zip(tokens(&short, &block, 100, 1));
        for (whole, short) in pairs {
            let mut rest = whole.genes.iter().zip(&whole.values);
            for token in short.genes.iter().zip(&short.values) {
                prop_assert!(rest.any(|other| other == token));
            }
        }
    }

    #[test]
    fn collation_is_padding_on_the_right_whatever_the_batch(
        block in block(), config in config(), batch_size in 1..8_usize,
    ) {
        let cells = tokens(&tokenizer(config), &block, 100, 1);
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let collator = Collator::new(&vocab(), -2.0);
        let mut seen = vec![0; cells.len()];
        for bucket in buckets(&lengths, batch_size) {
            let batch = collator.collate(bucket.iter().map(|&cell| (cell, &cells[cell])));
            prop_assert_eq!(&batch.cells, &bucket);
            prop_assert_eq!(Some(batch.n_tokens), bucket.iter().map(|&cell| lengths[cell]).max());
            let is_pad = batch.is_pad();
            for (row, &number) in bucket.iter().enumerate() {
                seen[number] += 1;
                let cell = &cells[number];
                for position in 0..batch.n_tokens {
                    let flat = row * batch.n_tokens + position;
                    let token = (batch.genes[flat], batch.values[flat]);
                    prop_assert_eq!(is_pad[flat], position >= cell.len());
                    let expected = match cell.genes.get(position) {
                        Some(gene) => (gene.0.cast_signed(), cell.values[position]),
                        None => (collator.pad.0.cast_signed(), -2.0),
                    };
                    prop_assert_eq!(token, expected);
                }
            }
        }
        prop_assert!(seen.iter().all(|&n| n == 1));
    }
}

proptest! {
    #[test]
    fn halves_of_a_cell_add_up_to_it_and_no_feature_minds_the_others(
        values in counts(), scale in prop_oneof![Just(1.0_f32), Just(0.5)], seed: u64, cell: u64,
        is_there in vec(any::<bool>(), 120),
    ) {
        // Halves of odd numbers are no counts.
        let values: Vec<f32> = values.iter().map(|value| value * scale).collect();
        let indices: Vec<u32> = (0..).take(values.len()).collect();
        let thinned = ThinnedCell::new(CsrRow { indices: &indices, values: &values }, seed, cell);
        prop_assert_eq!(thinned.by_coin, values.iter().any(|value| value.fract() != 0.0));
        let mut sums = vec![0.0; values.len()];
        for half in thinned.halves() {
            prop_assert!(half.indices.is_sorted_by(|a, b| a < b));
            for (&index, &value) in half.indices.iter().zip(half.values) {
                let whole = values[index as usize];
                prop_assert!(value > 0.0 && (!thinned.by_coin || value == whole));
                prop_assert!(thinned.by_coin || value.fract() == 0.0);
                sums[index as usize] += value;
            }
        }
        prop_assert_eq!(&sums, &values);

        let some: Vec<u32> = indices.into_iter().filter(|&i| is_there[i as usize]).collect();
        let of_some: Vec<f32> = some.iter().map(|&i| values[i as usize]).collect();
        let part = ThinnedCell::new(CsrRow { indices: &some, values: &of_some }, seed, cell);
        if part.by_coin == thinned.by_coin {
            for (half, of_part) in thinned.halves().into_iter().zip(part.halves()) {
                let kept = half.indices.iter().zip(half.values);
                let kept = kept.filter(|(index, _)| is_there[**index as usize]);
                prop_assert!(kept.eq(of_part.indices.iter().zip(of_part.values)));
            }
        }
    }
}
