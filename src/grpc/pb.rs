//! What build.rs made of `proto/`.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    rustdoc::all,
    reason = "generated code is not ours to polish"
)]

tonic::include_proto!("ringless.v1");

/// The encoded descriptors of `proto/`, comments included, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("ringless_descriptor");
