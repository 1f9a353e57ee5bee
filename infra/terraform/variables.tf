# Written by "make terraform" from the parameters of template.yaml.

variable "authorizer" {
  type        = string
  default     = "TOKENS"
  description = "Authentication of API calls - tokens of aptless, or AWS credentials with the right execute-api:Invoke"
  validation {
    condition     = contains(["TOKENS", "IAM"], var.authorizer)
    error_message = "It is one of TOKENS | IAM."
  }
}

variable "iam_default_role" {
  type        = string
  default     = "admin"
  description = "With Authorizer IAM, what a caller may do that no binding (PUT /api/auth/bindings) matches - everything, or nothing"
  validation {
    condition     = contains(["admin", "none"], var.iam_default_role)
    error_message = "It is one of admin | none."
  }
}

variable "private_downloads" {
  type        = string
  default     = "no"
  description = "Whether prefixes can be private (PUT /api/auth/access) - their files then need a token, and all files are read by https only"
  validation {
    condition     = contains(["yes", "no"], var.private_downloads)
    error_message = "It is one of yes | no."
  }
}

variable "address" {
  type        = string
  default     = ""
  description = "URL of the published files for clients, for example https://deb.example.org; by default https with Domain, or that of CloudFront"
}

variable "domain" {
  type        = string
  default     = ""
  description = "Own name of the published files, for example deb.example.org; needs Certificate"
}

variable "certificate" {
  type        = string
  default     = ""
  description = "ARN of ACM's certificate for Domain, in us-east-1"
}

variable "api_domain" {
  type        = string
  default     = ""
  description = "Own name of the API, for example api.deb.example.org; needs ApiCertificate"
}

variable "api_certificate" {
  type        = string
  default     = ""
  description = "ARN of ACM's certificate for ApiDomain, in the stack's region"
}

variable "hosted_zone" {
  type        = string
  default     = ""
  description = "ID of the Route 53 zone of Domain and ApiDomain, for their records; empty if the records are made elsewhere"
}

variable "title" {
  type        = string
  default     = ""
  description = "Name of the repository, on its pages"
}

variable "about" {
  type        = string
  default     = ""
  description = "A sentence on the repository, on its root page"
}

variable "contact" {
  type        = string
  default     = ""
  description = "Address of mail or of a page, on the root page"
}

variable "suite" {
  type        = string
  default     = "stable"
  description = "Suites field in the output Sources - the distribution of most clients"
}

variable "price_class" {
  type        = string
  default     = "PriceClass_All"
  description = "Edges of CloudFront that serve the files"
  validation {
    condition     = contains(["PriceClass_All", "PriceClass_200", "PriceClass_100"], var.price_class)
    error_message = "It is one of PriceClass_All | PriceClass_200 | PriceClass_100."
  }
}

variable "web_acl" {
  type        = string
  default     = ""
  description = "ARN of a web ACL of WAF for the published files, in us-east-1"
}

variable "keys" {
  type        = string
  default     = "PARAMETERS"
  description = "Place of the OpenPGP keys - parameters of Systems Manager, which are free, or secrets of Secrets Manager"
  validation {
    condition     = contains(["PARAMETERS", "SECRETS"], var.keys)
    error_message = "It is one of PARAMETERS | SECRETS."
  }
}

variable "signing_kms_keys" {
  type        = list(string)
  default     = []
  description = "ARNs of KMS keys that sign publications instead of a secret OpenPGP key; the public key contains their public keys"
}

variable "storages" {
  type        = string
  default     = ""
  description = "Further buckets to publish to, separated by blanks, each like name=s3://bucket/prefix?region=eu-central-1"
}

variable "storage_arns" {
  type        = list(string)
  default     = []
  description = "ARNs of the buckets of Storages and of their objects, for example arn:aws:s3:::bucket,arn:aws:s3:::bucket/*"
}

variable "storage_secret_arns" {
  type        = list(string)
  default     = []
  description = "ARNs of the secrets that Storages names by secret="
}

variable "allow_upstream" {
  type        = string
  default     = ""
  description = "Networks, addresses and hosts that are not public but may be used for mirrors and key servers, separated by blanks"
}

variable "async" {
  type        = string
  default     = "false"
  description = "Whether changing requests are answered at once with their task, unless they have _async=false"
  validation {
    condition     = contains(["true", "false"], var.async)
    error_message = "It is one of true | false."
  }
}

variable "architectures" {
  type        = string
  default     = ""
  description = "Architectures of dependency resolution and of new mirrors, separated by commas; by default the architectures of the packages and of the archive"
}

variable "follow_recommends" {
  type        = string
  default     = "false"
  description = "Whether dependencies include recommended packages"
  validation {
    condition     = contains(["true", "false"], var.follow_recommends)
    error_message = "It is one of true | false."
  }
}

variable "follow_suggests" {
  type        = string
  default     = "false"
  description = "Whether dependencies include suggested packages"
  validation {
    condition     = contains(["true", "false"], var.follow_suggests)
    error_message = "It is one of true | false."
  }
}

variable "follow_source" {
  type        = string
  default     = "false"
  description = "Whether dependencies include source packages"
  validation {
    condition     = contains(["true", "false"], var.follow_source)
    error_message = "It is one of true | false."
  }
}

variable "follow_all_variants" {
  type        = string
  default     = "false"
  description = "Whether dependencies include all alternatives and every package that satisfies them"
  validation {
    condition     = contains(["true", "false"], var.follow_all_variants)
    error_message = "It is one of true | false."
  }
}

variable "compress" {
  type        = string
  default     = ""
  description = "Additional compressions of published indexes, besides gz and bz2"
  validation {
    condition     = contains(["", "xz", "zst", "xz,zst"], var.compress)
    error_message = "It is one of  | xz | zst | xz,zst."
  }
}

variable "digests" {
  type        = string
  default     = "md5,sha256"
  description = "Digests of indexes that Release files list; sha256 is among them, each other one costs time and a copy of each index"
  validation {
    condition     = contains(["sha256", "md5,sha256", "sha256,sha512", "md5,sha1,sha256,sha512"], var.digests)
    error_message = "It is one of sha256 | md5,sha256 | sha256,sha512 | md5,sha1,sha256,sha512."
  }
}

variable "gzip_level" {
  type        = number
  default     = 6
  description = "Level of .gz files of indexes; a change renders all indexes anew"
}

variable "skip_contents" {
  type        = string
  default     = "false"
  description = "Whether publications have no Contents, unless created with SkipContents=false"
  validation {
    condition     = contains(["true", "false"], var.skip_contents)
    error_message = "It is one of true | false."
  }
}

variable "skip_bz2" {
  type        = string
  default     = "false"
  description = "Whether publications have no .bz2 of indexes, unless created with SkipBz2=false"
  validation {
    condition     = contains(["true", "false"], var.skip_bz2)
    error_message = "It is one of true | false."
  }
}

variable "outage" {
  type        = string
  default     = "15m0s"
  description = "Time for which a task is retried while the storage fails"
}

variable "download_limit" {
  type        = number
  default     = 0
  description = "Limit of all downloads of one function from other servers, in KiB a second; 0 is unlimited"
}

variable "max_upload" {
  type        = number
  default     = 16384
  description = "Limit of an uploaded file, in MiB"
}

variable "mirror_sources" {
  type        = string
  default     = "false"
  description = "Whether new mirrors download source packages, unless their creation sets DownloadSources"
  validation {
    condition     = contains(["true", "false"], var.mirror_sources)
    error_message = "It is one of true | false."
  }
}

variable "mirror_unverified" {
  type        = string
  default     = "false"
  description = "Whether signatures of mirrored archives are not verified, unless a request sets IgnoreSignatures"
  validation {
    condition     = contains(["true", "false"], var.mirror_unverified)
    error_message = "It is one of true | false."
  }
}

variable "mirror_parallel" {
  type        = number
  default     = 8
  description = "Files that an update of a mirror downloads at the same time"
}

variable "ppa_codename" {
  type        = string
  default     = ""
  description = "Distribution of mirrors of ppa:user/project, for example noble; such mirrors need it"
}

variable "ppa_distributor" {
  type        = string
  default     = "ubuntu"
  description = "Distributor of mirrors of ppa:user/project"
}

variable "ppa_url" {
  type        = string
  default     = "http://ppa.launchpad.net"
  description = "URL of the archives of ppa:user/project"
}

variable "alarm_topic" {
  type        = string
  default     = ""
  description = "ARN of an SNS topic; without it there are no alarms"
}

variable "dashboard" {
  type        = string
  default     = "no"
  description = "Whether CloudWatch has a dashboard; the first three of an account are free, further ones cost 3 dollars a month"
  validation {
    condition     = contains(["yes", "no"], var.dashboard)
    error_message = "It is one of yes | no."
  }
}

variable "cleanup_every" {
  type        = string
  default     = "168h"
  description = "Time between collections of unreferenced files; 0s for none"
}

variable "api_memory" {
  type        = number
  default     = 512
  description = "Memory of ApiFunction in MB; it mostly waits"
}

variable "worker_memory" {
  type        = number
  default     = 1769
  description = "Memory of WorkerFunction in MB; 1769 is one processor, and 3538 halves the time of a large mirror at the same price"
}

variable "publish_memory" {
  type        = number
  default     = 1769
  description = "Memory of PublishFunction in MB"
}

variable "api_concurrency" {
  type        = number
  default     = 0
  description = "Concurrent calls of the API at most, taken from the quota of the account, which must leave 100 to others; 0 is no limit of its own"
}

variable "worker_concurrency" {
  type        = number
  default     = 20
  description = "Imports and updates of mirrors at the same time"
}

variable "publish_concurrency" {
  type        = number
  default     = 20
  description = "Publications at the same time"
}

variable "existing_table" {
  type        = string
  default     = ""
  description = "Name of a table to use, for example of an older stack or restored from a backup; empty for the stack's own"
}

variable "existing_private_bucket" {
  type        = string
  default     = ""
  description = "Name of a bucket of private/ to use, for example of an older stack"
}

variable "existing_public_bucket" {
  type        = string
  default     = ""
  description = "Name of a bucket of public/ to use, for example of an older stack"
}

locals {
  parameters = {
    Authorizer            = var.authorizer
    IamDefaultRole        = var.iam_default_role
    PrivateDownloads      = var.private_downloads
    Address               = var.address
    Domain                = var.domain
    Certificate           = var.certificate
    ApiDomain             = var.api_domain
    ApiCertificate        = var.api_certificate
    HostedZone            = var.hosted_zone
    Title                 = var.title
    About                 = var.about
    Contact               = var.contact
    Suite                 = var.suite
    PriceClass            = var.price_class
    WebAcl                = var.web_acl
    Keys                  = var.keys
    SigningKmsKeys        = join(",", var.signing_kms_keys)
    Storages              = var.storages
    StorageArns           = join(",", var.storage_arns)
    StorageSecretArns     = join(",", var.storage_secret_arns)
    AllowUpstream         = var.allow_upstream
    Async                 = var.async
    Architectures         = var.architectures
    FollowRecommends      = var.follow_recommends
    FollowSuggests        = var.follow_suggests
    FollowSource          = var.follow_source
    FollowAllVariants     = var.follow_all_variants
    Compress              = var.compress
    Digests               = var.digests
    GzipLevel             = tostring(var.gzip_level)
    SkipContents          = var.skip_contents
    SkipBz2               = var.skip_bz2
    Outage                = var.outage
    DownloadLimit         = tostring(var.download_limit)
    MaxUpload             = tostring(var.max_upload)
    MirrorSources         = var.mirror_sources
    MirrorUnverified      = var.mirror_unverified
    MirrorParallel        = tostring(var.mirror_parallel)
    PpaCodename           = var.ppa_codename
    PpaDistributor        = var.ppa_distributor
    PpaUrl                = var.ppa_url
    AlarmTopic            = var.alarm_topic
    Dashboard             = var.dashboard
    CleanupEvery          = var.cleanup_every
    ApiMemory             = tostring(var.api_memory)
    WorkerMemory          = tostring(var.worker_memory)
    PublishMemory         = tostring(var.publish_memory)
    ApiConcurrency        = tostring(var.api_concurrency)
    WorkerConcurrency     = tostring(var.worker_concurrency)
    PublishConcurrency    = tostring(var.publish_concurrency)
    ExistingTable         = var.existing_table
    ExistingPrivateBucket = var.existing_private_bucket
    ExistingPublicBucket  = var.existing_public_bucket
  }
}
