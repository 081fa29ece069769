//! [`open`]: which store a URL is in, and how it is asked.

use std::{io, path::Path, time::Duration};

use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, HeaderMap, HeaderValue, ObjectStore,
    RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, resolve_bucket_region},
    http::HttpBuilder,
};

use super::patience::Patience;
use crate::{address::scheme, regular::refusal};

/// Longest pause before a request is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A request is not repeated later than this after it was first sent.
const LATEST_RETRY: Duration = Duration::from_mins(3);

/// A store, and the place in it that a URL names.
pub(super) struct Opened {
    pub(super) store: Box<dyn ObjectStore>,
    pub(super) prefix: String,
    /// Whether it lists names.
    pub(super) lists: bool,
}

/// The store of a URL. Of S3 the region of a bucket may be asked for; the files are not.
pub(super) async fn open(url: &Path, patience: Patience) -> io::Result<Opened> {
    let (scheme, rest) = scheme(url).ok_or_else(|| io::Error::other("no URL"))?;
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() {
        return Err(refusal(
            "a URL without a host",
            "expected https://host/path or s3://bucket/key",
        ));
    }
    if host.contains('@') {
        let problem = "a URL with a name or password, which would be in reports and logs";
        return Err(refusal(
            problem,
            "leave it out; of S3, credentials are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ));
    }
    if rest.contains(['?', '#']) {
        let problem = "a URL with `?` or `#` names one file, and a folder has many";
        return Err(refusal(
            problem,
            "use the address of the folder; a signed link does not open one",
        ));
    }
    match scheme {
        "http" | "https" => http(url, client(scheme == "http", patience), patience),
        "s3" => s3(rest, patience).await,
        "gs" | "gcs" => Err(other(
            scheme,
            "use https://storage.googleapis.com/BUCKET/PATH if it is public, or `gcloud storage cp -r` first",
        )),
        "az" | "abfs" | "abfss" => {
            Err(other(scheme, "use its https:// address if it is public, or `azcopy copy` first"))
        }
        _ => Err(other(scheme, "expected https://, http:// or s3://")),
    }
}

fn other(scheme: &str, remedy: &'static str) -> io::Error {
    refusal(format!("addresses of `{scheme}://` are not read"), remedy)
}

fn retry(patience: Patience) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: patience.pause,
            max_backoff: LONGEST_PAUSE.max(patience.pause),
            base: 2.0,
        },
        max_retries: patience.retries,
        retry_timeout: LATEST_RETRY,
    }
}

/// A hub of models at a web address. A token goes along with requests to it, and nowhere else.
pub(super) fn hub(url: &Path, token: Option<&str>, patience: Patience) -> io::Result<Opened> {
    let Some((scheme @ ("http" | "https"), _)) = scheme(url) else {
        let problem = format!("`{}` is no web address", url.display());
        return Err(refusal(problem, "set HF_ENDPOINT to one, such as https://huggingface.co"));
    };
    let mut options = client(scheme == "http", patience);
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| refusal("a token with letters that no token has", "set HF_TOKEN anew"))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value);
        options = options.with_default_headers(headers);
    }
    http(url, options, patience)
}

fn client(is_plain: bool, patience: Patience) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(patience.connection)
        .with_timeout(patience.answer)
}

fn http(url: &Path, options: ClientOptions, patience: Patience) -> io::Result<Opened> {
    let store = HttpBuilder::new()
        .with_url(url.display().to_string().trim_end_matches('/'))
        .with_client_options(options)
        .with_retry(retry(patience))
        .build()
        .map_err(io::Error::other)?;
    Ok(Opened { store: Box::new(store), prefix: String::new(), lists: false })
}

/// A bucket, with what the environment says as for every program that reads S3: `AWS_ACCESS_KEY_ID` and
/// the like, `AWS_REGION`, `AWS_ENDPOINT_URL`. Without credentials requests are not signed, as public
/// buckets take them.
async fn s3(rest: &str, patience: Patience) -> io::Result<Opened> {
    use AmazonS3ConfigKey as Key;

    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let milliseconds = |duration: Duration| format!("{} ms", duration.as_millis());
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retry(patience))
        .with_config(Key::Client(ClientConfigKey::Timeout), milliseconds(patience.answer))
        .with_config(
            Key::Client(ClientConfigKey::ConnectTimeout),
            milliseconds(patience.connection),
        );
    let value = |builder: &AmazonS3Builder, key| builder.get_config_value(&key);
    let endpoint = value(&builder, Key::S3Endpoint).or_else(|| value(&builder, Key::Endpoint));
    if endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let is_known = [
        Key::AccessKeyId,
        Key::WebIdentityTokenFile,
        Key::ContainerCredentialsRelativeUri,
        Key::ContainerCredentialsFullUri,
    ]
    .into_iter()
    .any(|key| value(&builder, key).is_some());
    if !is_known {
        builder = builder.with_skip_signature(true);
    }
    let has_region =
        [Key::Region, Key::DefaultRegion].into_iter().any(|key| value(&builder, key).is_some());
    if endpoint.is_none() && !has_region {
        let options = ClientOptions::new()
            .with_connect_timeout(patience.connection)
            .with_timeout(patience.answer);
        // If nobody says, the request itself will.
        if let Ok(region) = resolve_bucket_region(bucket, &options).await {
            builder = builder.with_region(region);
        }
    }
    let store = builder.build().map_err(io::Error::other)?;
    Ok(Opened { store: Box::new(store), prefix: prefix.trim_matches('/').to_owned(), lists: true })
}
