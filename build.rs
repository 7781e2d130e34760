//! Compiles `proto/` with protox, so no protoc is needed, and writes the descriptor set that
//! reflection serves. No other logic.

use std::path::PathBuf;

const PROTOS: [&str; 11] = [
    "ringless/v1/consent.proto",
    "ringless/v1/consent_service.proto",
    "ringless/v1/error_reason.proto",
    "ringless/v1/setup.proto",
    "ringless/v1/suppression.proto",
    "ringless/v1/suppression_service.proto",
    "ringless/v1/telephony_service.proto",
    "ringless/v1/use_case.proto",
    "ringless/v1/use_case_service.proto",
    "ringless/v1/voicemail.proto",
    "ringless/v1/voicemail_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(PROTOS)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // The encoded set keeps what prost's typed one would drop (custom options).
    std::fs::write(
        out.join("ringless_descriptor.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .bytes(".ringless.v1")
        // Sorted maps, so that equal requests are equal bytes (page tokens are bound to them).
        .btree_map(".ringless.v1")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
