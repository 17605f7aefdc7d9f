//! Windows, frames, FFTs and mel filters: the ground of every spectral feature.
