//! The SDK's own HTTP client, with a bound on what it reads.
//!
//! The SDK reads an answer whole before it parses it, however large it is. So each body is measured by a [`Meter`] while it
//! arrives. Credentials that come by HTTP (STS, SSO, the metadata service) go through the same client.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use remint_core::provider::{
    Calls,
    support::{Meter, answered},
};

use crate::error::request_id;

/// The client of the SDK's default configuration, whose bodies are bounded. `calls` counts their bytes.
pub(crate) fn bounded(calls: &Calls) -> SharedHttpClient {
    let inner = Builder::new().build_with_connector_fn(|settings, components| {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let mut connector = Connector::builder().tls_provider(provider);
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    SharedHttpClient::new(BoundedClient { inner, calls: calls.clone() })
}

#[derive(Debug)]
struct BoundedClient {
    inner: SharedHttpClient,
    calls: Calls,
}

impl HttpClient for BoundedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { inner, calls: self.calls.clone() })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    calls: Calls,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, calls) = (self.inner.call(request), self.calls.clone());
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            answered(answer.status().as_u16(), request_id(&answer).as_deref());
            let bounded = |inner| BoundedBody { inner, meter: Meter::default(), calls: calls.clone() };
            Ok(answer.map(|inner| SdkBody::from_body_1_x(bounded(inner))))
        })
    }
}

struct BoundedBody {
    inner: SdkBody,
    meter: Meter,
    calls: Calls,
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        if let Some(data) = frame.data_ref() {
            self.calls.received(data.len());
            if let Err(excess) = self.meter.feed(data) {
                return Poll::Ready(Some(Err(excess.into())));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&self.inner)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
