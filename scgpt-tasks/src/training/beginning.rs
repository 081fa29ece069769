//! [`Beginning`]: the network before its first step, and what has to be known of it at the end.
//!
//! Vectors that came from the cells are kept, so that what training adds to them can be told
//! later; they are also kept in the folder of the run, since a run that goes on does not begin again.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use burn::prelude::Device;
use scgpt_data::{GeneToken, GeneVocab, Observer, narrow};
use scgpt_model::{Scgpt, host_values};

use super::{
    CoExpression, GeneStart, NewGenes,
    added_genes::{AddedGenes, DIRECTIONS, map_vectors, new_tokens},
    start::{Origin, StartingNetwork},
};
use crate::{
    artefact::{read_part, write_part},
    error::{Error, Result},
    start_vectors::{START, StartVectors},
};

/// The folder of a run with what it began with, and the file with the genes that joined.
pub(super) const FOLDER: &str = "start";
const ADDED: &str = "added.json";

/// A network before its first step.
pub(crate) struct Beginning {
    pub(crate) model: Scgpt,
    pub(crate) kept: Kept,
}

/// What is kept of the beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Gene vectors, `[vocabulary, d]`, if a new network had them from the cells; after their norm, as those
    /// of a trained network are looked at.
    pub(crate) vectors: Option<StartVectors>,
    /// Genes that joined the vocabulary of a checkpoint, if they were to.
    pub(crate) added: Option<AddedGenes>,
}

impl StartingNetwork {
    /// The network before its first step. A new one has vectors of `co_expression`, along the given number
    /// of directions, if its start says so, and so have genes that are new to a checkpoint.
    ///
    /// # Errors
    /// Those of [`build`](Self::build), and of `co_expression`;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(crate) fn begin(
        &self,
        seed: u64,
        vocab: &GeneVocab,
        device: &Device,
        co_expression: impl FnOnce(usize) -> Result<CoExpression>,
        observer: &dyn Observer,
    ) -> Result<Beginning> {
        let mut model = self.build(seed, device)?;
        let width = self.config.d_model;
        let mut kept = Kept::default();
        match &self.origin {
            Origin::New(GeneStart::Spectral) => {
                model = co_expression(width)?.give_to(model, device);
                let rows = host_values(model.genes.table());
                kept.vectors = Some(StartVectors::new(rows, width));
            }
            Origin::Extended(folder, genes, vectors) if !vectors.are_left_out() => {
                let rows = &genes.rows;
                let known = rows.iter().flatten().count();
                let mut added = AddedGenes {
                    vectors: *vectors,
                    genes: rows.len() - known,
                    too_few_cells: Vec::new(),
                    lost: folder.config().vocab_size.saturating_sub(known),
                    map: None,
                };
                if *vectors == NewGenes::Spectral && added.genes > 0 {
                    let co_expression = co_expression(width.min(DIRECTIONS))?;
                    let (mapped, map) = map_vectors(model, &co_expression, rows, device, observer)?;
                    let few = new_tokens(&co_expression, rows, false);
                    let name = |token| vocab.name(GeneToken(narrow(token))).map(str::to_owned);
                    added.too_few_cells = few.into_iter().filter_map(name).collect();
                    added.map = Some(map);
                    model = mapped;
                }
                kept.added = Some(added);
            }
            _ => {}
        }
        Ok(Beginning { model, kept })
    }
}

impl Kept {
    /// Writes it into the folder of a run, in place of that of an earlier run.
    pub(super) fn write(&self, run: &Path) -> Result<()> {
        let folder = run.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Artefact { path: folder, problem: error.to_string() });
            }
            _ => {}
        }
        if self.vectors.is_none() && self.added.is_none() {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(|error| Error::Artefact {
            path: folder.clone(),
            problem: error.to_string(),
        })?;
        if let Some(vectors) = &self.vectors {
            vectors.save(&folder.join(START))?;
        }
        match &self.added {
            Some(added) => write_part(&folder.join(ADDED), added),
            None => Ok(()),
        }
    }

    /// Reads what a run that goes on has begun with.
    pub(super) fn read(run: &Path, network: &StartingNetwork) -> Result<Self> {
        let there = |name: &str| Some(run.join(FOLDER).join(name)).filter(|path| path.exists());
        let added: Option<PathBuf> = there(ADDED);
        let width = network.config.d_model;
        Ok(Self {
            vectors: there(START).map(|path| StartVectors::open(&path, width)).transpose()?,
            added: added.map(|path| read_part(&path)).transpose()?,
        })
    }
}
