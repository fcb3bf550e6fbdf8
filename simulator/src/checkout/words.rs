//! What the checkout says, in Arabic and English.

use crate::page::Language;

/// The page's words in one language. All of it is HTML already.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) explained: &'static str,
    pub(super) amount: &'static str,
    pub(super) reference: &'static str,
    pub(super) link: &'static str,
    pub(super) afterwards: &'static str,
    /// Stands before the name of the host that the customer goes back to.
    pub(super) back_to: &'static str,
    pub(super) stays: &'static str,
    pub(super) not_followed: &'static str,
    pub(super) no_webhook: &'static str,
    pub(super) pay: &'static str,
    pub(super) pay_explained: &'static str,
    pub(super) time_out: &'static str,
    pub(super) time_out_explained: &'static str,
    pub(super) paid: &'static str,
    pub(super) timed_out: &'static str,
    pub(super) settled: &'static str,
    pub(super) to_the_shop: &'static str,
    pub(super) close: &'static str,
    pub(super) unknown: &'static str,
    pub(super) not_from_here: &'static str,
    pub(super) failed: &'static str,
    pub(super) other_language: &'static str,
}

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::Arabic => &ARABIC,
            Language::English => &ENGLISH,
        }
    }
}

const ENGLISH: Words = Words {
    title: "Payment",
    explained: "This page stands in for the provider's checkout. Choose how the payment link \
                ends: the shop is told of it once, by webhook.",
    amount: "Amount",
    reference: "Shop's reference",
    link: "Payment link",
    afterwards: "Afterwards",
    back_to: "back to",
    stays: "you stay on this page",
    not_followed: "you stay on this page: the link's redirect is neither http nor https",
    no_webhook: "No webhook URL is set, so that the shop will not be told.",
    pay: "Pay",
    pay_explained: "The link is paid, and the webhook says <code>fulfilled</code>.",
    time_out: "Let it time out",
    time_out_explained: "As if nobody had paid in time: the webhook says <code>timed_out</code>.",
    paid: "Paid",
    timed_out: "Timed out",
    settled: "This link was paid or has timed out already. Nothing was changed.",
    to_the_shop: "Return to the shop",
    close: "You can close this page.",
    unknown: "There is no such payment link. The simulator forgets its links when it stops.",
    not_from_here: "This form was not sent from the link's own page.",
    failed: "That did not work.",
    other_language: "العربية",
};

const ARABIC: Words = Words {
    title: "الدفع",
    explained: "تحلّ هذه الصفحة محلّ صفحة الدفع الحقيقية. اختر كيف ينتهي رابط الدفع، \
                وسيصل إلى المتجر إشعار واحد (<bdi>webhook</bdi>) بذلك.",
    amount: "المبلغ",
    reference: "الرقم المرجعي",
    link: "رابط الدفع",
    afterwards: "بعد ذلك",
    back_to: "العودة إلى",
    stays: "تبقى في هذه الصفحة",
    not_followed: "تبقى في هذه الصفحة، لأن عنوان العودة لا يبدأ بـ <bdi>http</bdi> ولا <bdi>https</bdi>",
    no_webhook: "لم يُحدَّد عنوان الإشعارات (<bdi>webhook</bdi>)، ولذلك لن يُبلَّغ المتجر.",
    pay: "ادفع",
    pay_explained: "يُحتسب المبلغ مدفوعًا، ويصل إلى المتجر إشعار بالحالة <code>fulfilled</code>.",
    time_out: "محاكاة انتهاء المهلة",
    time_out_explained: "كأن الزبون لم يدفع في الوقت المحدد: يصل إلى المتجر إشعار بالحالة <code>timed_out</code>.",
    paid: "تم الدفع",
    timed_out: "انتهت المهلة",
    settled: "لم يعد هذا الرابط صالحًا: سبق الدفع عبره أو انتهت مهلته. لم يتغيّر شيء.",
    to_the_shop: "العودة إلى المتجر",
    close: "يمكنك إغلاق هذه الصفحة.",
    unknown: "رابط الدفع هذا غير موجود. يفقد المحاكي روابطه عند إيقافه.",
    not_from_here: "لم يصل هذا الطلب من صفحة الدفع نفسها. افتح رابط الدفع من جديد.",
    failed: "تعذّر تنفيذ ذلك.",
    other_language: "English",
};
