package com.example.shop.blog;

import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Test;

class PostControllerTest {

    private final PostController controller = new PostController();

    @Test
    void createPost() {
    }

    @Test
    @Disabled
    void getPost() throws Exception {
        Thread.sleep(2000);
        System.out.println(controller.getPost(1));
    }
}
