//! [`forward!`](macro@crate::forward) and [`absent!`](crate::absent): methods of a
//! [`CellSource`](crate::CellSource) that add nothing of their own.

/// Writes methods of a [`CellSource`](crate::CellSource) that call the same method of the source in
/// a field: `forward!(field: method, …);`, in its `impl` block. The compiler refuses an `impl` that
/// lacks a method.
///
/// The trait has to be in scope; see there for an example.
#[macro_export]
macro_rules! forward {
    ($field:tt: $($method:ident),+ $(,)?) => {
        $($crate::forward! { @$method $field })+
    };
    (@summary $field:tt) => {
        fn summary(&self) -> &$crate::Summary {
            self.$field.summary()
        }
    };
    (@obs $field:tt) => {
        fn obs(&self) -> $crate::Result<$crate::Frame> {
            self.$field.obs()
        }
    };
    (@var $field:tt) => {
        fn var(&self, layer: &$crate::Layer) -> $crate::Result<$crate::Frame> {
            self.$field.var(layer)
        }
    };
    (@read $field:tt) => {
        fn read(
            &mut self,
            layer: &$crate::Layer,
            rows: ::std::ops::Range<usize>,
        ) -> $crate::Result<$crate::Csr> {
            self.$field.read(layer, rows)
        }
    };
    (@read_obsm $field:tt) => {
        fn read_obsm(
            &mut self,
            name: &str,
            rows: ::std::ops::Range<usize>,
        ) -> $crate::Result<(::std::vec::Vec<f32>, usize)> {
            self.$field.read_obsm(name, rows)
        }
    };
    (@read_lists $field:tt) => {
        fn read_lists(
            &self,
            name: &str,
        ) -> $crate::Result<
            ::std::collections::BTreeMap<::std::string::String, ::std::vec::Vec<::std::string::String>>,
        > {
            self.$field.read_lists(name)
        }
    };
    (@unread $field:tt) => {
        fn unread(&self) -> $crate::Result<::std::vec::Vec<::std::string::String>> {
            self.$field.unread()
        }
    };
}

/// Writes those of the methods `read_obsm`, `read_lists` and `unread` for which a
/// [`CellSource`](crate::CellSource) has nothing to give: `absent!(method, …);`, in its `impl`
/// block.
///
/// ```
/// use std::ops::Range;
/// use scgpt_data::{CellSource, Csr, Error, Frame, Layer, Result, Summary};
///
/// /// Cells without any counts.
/// struct Nothing(Summary);
///
/// impl CellSource for Nothing {
///     scgpt_data::absent!(read_obsm, read_lists, unread);
///
///     fn summary(&self) -> &Summary {
///         &self.0
///     }
///
///     fn obs(&self) -> Result<Frame> {
///         Ok(Frame::of_names((0..self.0.n_cells).map(|cell| cell.to_string())))
///     }
///
///     fn var(&self, layer: &Layer) -> Result<Frame> {
///         let (_, n_genes) = self.0.shape(layer)?;
///         Ok(Frame::of_names((0..n_genes).map(|gene| gene.to_string())))
///     }
///
///     fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
///         let (_, n_genes) = self.0.shape(layer)?;
///         Csr::of_rows(n_genes, rows.map(|_| (vec![], vec![]))).map_err(Error::Option)
///     }
/// }
/// ```
#[macro_export]
macro_rules! absent {
    ($($method:ident),+ $(,)?) => {
        $($crate::absent! { @$method })+
    };
    (@read_obsm) => {
        fn read_obsm(
            &mut self,
            name: &str,
            _: ::std::ops::Range<usize>,
        ) -> $crate::Result<(::std::vec::Vec<f32>, usize)> {
            ::std::result::Result::Err(self.summary().missing_obsm(name))
        }
    };
    (@read_lists) => {
        fn read_lists(
            &self,
            _: &str,
        ) -> $crate::Result<
            ::std::collections::BTreeMap<::std::string::String, ::std::vec::Vec<::std::string::String>>,
        > {
            ::std::result::Result::Ok(::std::default::Default::default())
        }
    };
    (@unread) => {
        fn unread(&self) -> $crate::Result<::std::vec::Vec<::std::string::String>> {
            ::std::result::Result::Ok(::std::vec::Vec::new())
        }
    };
}
