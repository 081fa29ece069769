//! Sums once a step, by the transport or on the device.

use std::thread;

use burn::prelude::*;
use scgpt_train::{Reduce, Result, SumOnDevice, Transport as _, Workers};

use super::{
    Cells, Run, Watch, config, loss_of, objectives, seen,
    threads::{Thread, threads},
    trained,
};

#[test]
fn a_fast_sum_is_nearly_the_same() {
    let task = Cells::of(objectives()[0]);
    let config = config(4);
    let (_, alone) = trained(&task, &config, 1);
    let folder = tempfile::tempdir().unwrap();
    let run =
        Run { task: &task, config, folder: folder.path(), resume: false, reduce: Reduce::Fast };
    let (_, fast) = seen(run.by_threads(3, u64::MAX));
    assert_eq!(fast.len(), alone.len());
    for (fast, alone) in loss_of(&fast).zip(loss_of(&alone)) {
        assert!((fast - alone).abs() < 1e-3 * alone.abs(), "{fast}, {alone}");
    }
}

/// Adds up on the device what threads have.
#[derive(Debug)]
struct OnDevice(Thread);

impl SumOnDevice for OnDevice {
    fn sum(&self, mine: Tensor<1>) -> Result<Tensor<1>> {
        let device = mine.device();
        let mine = mine.into_data().try_into_vec().unwrap();
        Ok(Tensor::from_data(self.0.sum(mine)?.as_slice(), &device))
    }
}

#[test]
fn a_sum_on_the_device_is_that_of_the_transport() {
    let task = Cells::of(objectives()[0]);
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let of = |place: usize| Run {
        task: &task,
        config: config(4),
        folder: folders[place].path(),
        resume: false,
        reduce: Reduce::Fast,
    };
    let by_transport = seen(of(0).by_threads(2, u64::MAX));
    let run = of(1);
    let on_device = thread::scope(|scope| {
        let both = threads(2).into_iter().zip(threads(2)).map(|(transport, device)| {
            let run = &run;
            scope.spawn(move || {
                let watch = Watch::new(u64::MAX);
                let workers = Workers::of(transport).summing(Reduce::Fast);
                (run.by(&workers.on_device(OnDevice(device)), &watch), watch)
            })
        });
        let both: Vec<_> = both.collect();
        seen(both.into_iter().map(|thread| thread.join().unwrap()).collect())
    });
    assert!(on_device == by_transport);
}
