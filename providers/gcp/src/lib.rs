//! The Google Cloud provider: Compute Engine and Cloud DNS.
