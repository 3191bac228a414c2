//! Several proxies of one deployment, each a process, behind the address that browsers know.

use std::net::{Ipv4Addr, SocketAddr};

use super::balancer::Balancer;
use super::ports::free_port;
use super::proxy::{Deployment, Place, Proxy};

/// The proxies, and what stands before them.
pub struct Replicas {
    pub proxies: Vec<Proxy>,
    balancer: Balancer,
}

impl Replicas {
    /// Starts so many. `set` gives, by number from 0, the keys that are a replica's own, such as `store.path=/tmp/x`.
    pub async fn start(
        place: &Place,
        deployment: Deployment,
        count: usize,
        set: impl Fn(usize) -> Vec<String>,
    ) -> Self {
        let folder = deployment.write();
        let mut proxies = Vec::new();
        for number in 0..count {
            proxies.push(deployment.start_at(free_port(), &folder, &set(number)).await);
        }
        let balancer = Balancer::start_at(place.port(), proxies.iter().map(address).collect()).await;
        Self { proxies, balancer }
    }

    /// New connections go to these replicas only.
    pub fn only(&self, numbers: &[usize]) {
        self.balancer.set(
            numbers
                .iter()
                .map(|number| address(&self.proxies[*number]))
                .collect(),
        );
    }

    /// An address below the public origin.
    pub fn url(&self, path: &str) -> String {
        self.proxies[0].url(path)
    }
}

fn address(proxy: &Proxy) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port()))
}
