//! The two expression heads. They live here, not with the tasks, because pre-training,
//! generation and every released checkpoint have them.

mod gep;
mod gepc;

pub use self::{gep::GepHead, gepc::GepcHead};
