//! [`Existing`]: what becomes of an output that is there already.

/// What happens to an output that exists before it is written.
///
/// Whatever is chosen, an output is replaced only when the new one is complete, and a folder only if
/// it is of the kind that is written, see [`OutputKind`](crate::OutputKind).
///
/// ```
/// use scgpt_data::{Column, Error, Existing, Table};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("genes.csv");
/// let names = Column::Text(vec![Some("CD3D".into()), Some("CD4".into())]);
/// let genes = Table { columns: vec![("gene".into(), names)] };
/// genes.write(&path, Existing::Refuse)?;
/// assert!(matches!(genes.write(&path, Existing::Refuse), Err(Error::Exists { .. })));
/// genes.write(&path, Existing::Replace)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It stays as it is, and the writer fails by [`Error::Exists`](crate::Error::Exists).
    #[default]
    Refuse,
    /// It is replaced.
    Replace,
}

impl Existing {
    /// [`Replace`](Self::Replace) if a flag such as `--force` is set, else
    /// [`Refuse`](Self::Refuse).
    pub const fn replaced_if(is_forced: bool) -> Self {
        if is_forced { Self::Replace } else { Self::Refuse }
    }
}
