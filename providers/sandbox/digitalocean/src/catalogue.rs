//! What is on offer: regions and sizes. A subset of DigitalOcean's, with its names and prices.

use remint_sandbox_cloud::catalogue::{Region, Size, size};

/// DigitalOcean's regions. Every size and public image is in each of them.
pub(super) const REGIONS: &[Region] = &[
    Region { slug: "nyc1", name: "New York 1" },
    Region { slug: "nyc3", name: "New York 3" },
    Region { slug: "sfo2", name: "San Francisco 2" },
    Region { slug: "sfo3", name: "San Francisco 3" },
    Region { slug: "ams3", name: "Amsterdam 3" },
    Region { slug: "sgp1", name: "Singapore 1" },
    Region { slug: "lon1", name: "London 1" },
    Region { slug: "fra1", name: "Frankfurt 1" },
    Region { slug: "tor1", name: "Toronto 1" },
    Region { slug: "blr1", name: "Bangalore 1" },
    Region { slug: "syd1", name: "Sydney 1" },
];

/// DigitalOcean's sizes, cheapest first.
pub(super) const SIZES: &[Size] = &[
    size("s-1vcpu-512mb-10gb", "Basic", 512, 1, 10, 0.5, 4.0),
    size("s-1vcpu-1gb", "Basic", 1024, 1, 25, 1.0, 6.0),
    size("s-1vcpu-2gb", "Basic", 2048, 1, 50, 2.0, 12.0),
    size("s-2vcpu-2gb", "Basic", 2048, 2, 60, 3.0, 18.0),
    size("s-2vcpu-4gb", "Basic", 4096, 2, 80, 4.0, 24.0),
    size("c-2", "CPU-Optimized", 4096, 2, 25, 4.0, 42.0),
    size("s-4vcpu-8gb", "Basic", 8192, 4, 160, 5.0, 48.0),
    size("g-2vcpu-8gb", "General Purpose", 8192, 2, 25, 4.0, 63.0),
    size("c-4", "CPU-Optimized", 8192, 4, 50, 5.0, 84.0),
    size("m-2vcpu-16gb", "Memory-Optimized", 16384, 2, 50, 4.0, 84.0),
    size("s-8vcpu-16gb", "Basic", 16384, 8, 320, 6.0, 96.0),
    size("g-4vcpu-16gb", "General Purpose", 16384, 4, 50, 5.0, 126.0),
];
