//! Why an utterance is left out: each stage's error, whose variants are the reasons and carry the codes that users count.

/// Makes a stage's error, its codes and their list from one table: `/// meaning  #[error(…)] code: Variant { … }`.
macro_rules! rejects {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $Name:ident {
            $(
                #[doc = $meaning:literal]
                #[error($($message:tt)*)]
                $code:ident: $Variant:ident $({ $($(#[$field_meta:meta])* $field:ident: $Type:ty),* $(,)? })?
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $visibility enum $Name {
            $(
                #[doc = $meaning]
                #[error($($message)*)]
                $Variant $({ $($(#[$field_meta])* $field: $Type),* })?
            ),+
        }

        impl $Name {
            /// Every reject code of this stage with what it means.
            $visibility const CODES: &'static [(&'static str, &'static str)] =
                &[$((stringify!($code), $meaning.trim_ascii())),+];

            /// The reject code: stable from version to version.
            #[must_use]
            $visibility const fn code(&self) -> &'static str {
                match self { $(Self::$Variant { .. } => stringify!($code)),+ }
            }
        }
    };
}
pub(crate) use rejects;
