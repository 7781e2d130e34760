//! How the C library's allocator, which serves Rust, SQLite and libpq alike, keeps the memory of large uploads.
//!
//! By itself it raises the size from which a block is given back at once to that of the largest block it has seen, and gives each
//! thread a heap of its own, so a thousand uploads would leave several times what they ever held at once.

/// Blocks from this size on are given back when they are no longer used. Smaller ones are kept for the next.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK_BYTES: i32 = 1_024 * 1_024;
/// Free memory at a heap's end that is kept.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 16 * 1_024 * 1_024;
/// Heaps, which threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS_MAX: i32 = 4;

/// To be called before there is a second thread.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn set_up() {
    for (setting, value) in [
        (libc::M_MMAP_THRESHOLD, GIVEN_BACK_BYTES),
        (libc::M_TRIM_THRESHOLD, KEPT_BYTES),
        (libc::M_ARENA_MAX, HEAPS_MAX),
    ] {
        // SAFETY: mallopt takes two numbers and reads nothing of ours (https://man7.org/linux/man-pages/man3/mallopt.3.html).
        // One that it refuses leaves the setting as it was.
        unsafe { libc::mallopt(setting, value) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn set_up() {}
