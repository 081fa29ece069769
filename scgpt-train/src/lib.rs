//! Training scGPT: named objectives, one backward pass, exact resume.
