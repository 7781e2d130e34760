pub mod audio;
pub mod carrier;
pub mod clock;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod ops;
pub mod storage;
