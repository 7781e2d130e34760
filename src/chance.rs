//! The one place that draws by chance, apart from ids and keys.

/// Even from 0 to 1.
pub fn even_draw() -> f64 {
    let (_, low) = uuid::Uuid::new_v4().as_u64_pair();
    // 52 random bits, which a float holds exactly.
    (low & ((1 << 52) - 1)) as f64 / (1_u64 << 52) as f64
}
