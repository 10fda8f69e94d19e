//! The SDK's clients: one for each region, each call through [`Calls`].
//!
//! The SDK's own retries are off: one layer repeats, and counts. The clients share the connection pool and the identity
//! cache of one configuration.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, PoisonError},
};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use remint_core::provider::{
    Calls, Region, Result,
    support::{Call, Turn},
};

use crate::{config::check_region, error::failed};

/// A region as the SDK takes it: a part of the host that signed requests go to. A text that is no region's name, wherever it
/// comes from, leads nowhere.
fn region_of(region: &Region) -> aws_config::Region {
    let fits = check_region(region).is_ok();
    aws_config::Region::new(if fits { region.as_str().to_owned() } else { "not-a-region".to_owned() })
}

/// The account's clients.
#[derive(Debug)]
pub(crate) struct Client {
    sdk: SdkConfig,
    calls: Calls,
    ec2: Mutex<HashMap<Region, aws_sdk_ec2::Client>>,
    elb: Mutex<HashMap<Region, aws_sdk_elasticloadbalancingv2::Client>>,
}

impl Client {
    pub(crate) fn new(sdk: SdkConfig, calls: Calls) -> Self {
        Self { sdk, calls, ec2: Mutex::default(), elb: Mutex::default() }
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The one address of all services, where it is not AWS's own.
    pub(crate) fn endpoint_url(&self) -> Option<&str> {
        self.sdk.endpoint_url()
    }

    /// The client of a region.
    pub(crate) fn ec2(&self, region: &Region) -> aws_sdk_ec2::Client {
        let mut clients = self.ec2.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let region = region_of(region);
            aws_sdk_ec2::Client::from_conf(aws_sdk_ec2::config::Builder::from(&self.sdk).region(region).build())
        };
        clients.entry(region.clone()).or_insert_with(make).clone()
    }

    /// The client of a region for load balancers.
    pub(crate) fn elb(&self, region: &Region) -> aws_sdk_elasticloadbalancingv2::Client {
        use aws_sdk_elasticloadbalancingv2::{Client, config::Builder};

        let mut clients = self.elb.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Client::from_conf(Builder::from(&self.sdk).region(region_of(region)).build());
        clients.entry(region.clone()).or_insert_with(make).clone()
    }

    /// Route 53 has one endpoint for all regions of a partition.
    pub(crate) fn route53(&self, region: &Region) -> aws_sdk_route53::Client {
        let region = region_of(region);
        aws_sdk_route53::Client::from_conf(aws_sdk_route53::config::Builder::from(&self.sdk).region(region).build())
    }

    pub(crate) fn ssm(&self, region: &Region) -> aws_sdk_ssm::Client {
        let region = region_of(region);
        aws_sdk_ssm::Client::from_conf(aws_sdk_ssm::config::Builder::from(&self.sdk).region(region).build())
    }

    pub(crate) fn sts(&self, region: &Region) -> aws_sdk_sts::Client {
        let region = region_of(region);
        aws_sdk_sts::Client::from_conf(aws_sdk_sts::config::Builder::from(&self.sdk).region(region).build())
    }

    /// Makes one call, counted, paced, and repeated as its class allows.
    pub(crate) async fn call<T, E, F, Fut>(&self, call: &Call, send: F) -> Result<T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        // The SDK's futures are kilobytes large.
        self.calls.run(call, || async { Box::pin(send()).await.map_err(|error| failed(call, error)) }).await
    }

    /// The same for what EC2 would make twice: each attempt is waited for within the turn, also when the caller is
    /// dropped.
    pub(crate) async fn call_within<T, E, F, Fut>(&self, turn: &Turn, call: &Call, send: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn() -> Fut,
        Fut: Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let attempt = || {
            let (sent, call) = (Box::pin(send()), call.clone());
            turn.cover(async move { sent.await.map_err(|error| failed(&call, error)) })
        };
        self.calls.run(call, attempt).await
    }
}
